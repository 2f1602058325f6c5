package socket

import (
	"net"
	"time"
)

// PodTimeout is how long what was sent to a pod may stay unacknowledged; see SetUserTimeout.
const PodTimeout = 20 * time.Second

// PodDialer makes connections to pods. Together with PodTimeout it has a network that failed noticed
// within some 25 s, whoever is silent.
func PodDialer() *net.Dialer {
	return &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3}}
}
