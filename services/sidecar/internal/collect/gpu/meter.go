package gpu

import (
	"cmp"
	"fmt"
	"log/slog"
	"time"
)

// Driver is what tells of the devices. A call may take as long as it likes; there is one at a time.
type Driver interface {
	// Devices are those that are visible to this container. The error is the whole driver's: absent, or gone.
	Devices() ([]Device, error)
}

const (
	patience   = time.Second     // with one answer of the driver: measurements and pushes wait for no more
	retryAfter = 5 * time.Minute // a driver that is absent comes seldom
)

// Meter measures the pod's GPUs; one goroutine at a time uses it.
type Meter struct {
	driver Driver
	pod    Pod
	log    *slog.Logger

	answer chan answer // of the call that is under way; nil: none is
	asked  time.Time   // when that call began
	absent error       // what the driver said when it was not there
	again  time.Time   // when such a driver is asked again
	told   string      // what the log was told last
}

type answer struct {
	devices []Device
	err     error
}

// NewMeter makes a meter.
func NewMeter(d Driver, p Pod, log *slog.Logger) *Meter { return &Meter{driver: d, pod: p, log: log} }

// Measure is what the pod uses now. It takes no longer than the patience, whatever the driver does.
func (m *Meter) Measure() Total {
	devices, err := m.devices()
	if err != nil {
		m.tell("GPUs are not measured", err.Error())
		return missing(err.Error())
	}
	total := Add(devices, m.pod)
	switch {
	case total.Memory.Why != "":
		m.tell("GPUs are not measured", total.Memory.Why)
	case total.Use.Why != "" || total.Power.Why != "":
		m.tell("of GPUs only a part is measured", cmp.Or(total.Use.Why, total.Power.Why))
	default:
		m.tell("GPUs are measured", "")
	}
	return total
}

// devices asks the driver, on a goroutine of its own: a call of a C library cannot be called off.
func (m *Meter) devices() ([]Device, error) {
	now := time.Now()
	if m.answer != nil {
		select {
		case <-m.answer: // too late: it is of another time
			m.answer = nil
		default:
			return nil, fmt.Errorf("the GPU's driver has not answered yet what it was asked %s ago", now.Sub(m.asked).Round(time.Second))
		}
	}
	if m.absent != nil && now.Before(m.again) {
		return nil, m.absent
	}
	answers := make(chan answer, 1)
	m.answer, m.asked = answers, now
	go func() {
		devices, err := m.driver.Devices()
		answers <- answer{devices, err}
	}()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	select {
	case a := <-answers:
		m.answer = nil
		if m.absent = a.err; a.err != nil {
			m.again = time.Now().Add(retryAfter)
		}
		return a.devices, a.err
	case <-limit.C:
		return nil, fmt.Errorf("the GPU's driver did not answer within %s", patience)
	}
}

// tell logs what became of the measuring when that is another thing than before.
func (m *Meter) tell(what, why string) {
	key := what
	if m.answer == nil { // while a call hangs the reason counts the seconds
		key += why
	}
	switch {
	case key == m.told:
		return
	case why == "":
		m.log.Info(what)
	default:
		m.log.Warn(what, "why", why)
	}
	m.told = key
}
