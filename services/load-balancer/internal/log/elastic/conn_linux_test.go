package elastic

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// filled makes a file of random bytes.
func filled(t *testing.T, size int) (*os.File, []byte) {
	t.Helper()
	content := make([]byte, size)
	random := rand.NewChaCha8([32]byte{9})
	_, _ = random.Read(content)
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	if _, err := f.Write(content); err != nil {
		t.Fatal(err)
	}
	return f, content
}

// pipe are the two ends of a connection.
func pipe(t *testing.T) (ours io.ReaderFrom, theirs net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	c, err := dial(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if theirs, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = c.Close(), theirs.Close() })
	ours, ok := c.(io.ReaderFrom)
	if !ok {
		t.Fatalf("%T takes from no reader", c)
	}
	return ours, theirs
}

func TestConn_SendsWhatIsLeftOfAPartOfAFileWhateverItIsWrappedIn(t *testing.T) {
	f, content := filled(t, 9<<20)
	for name, c := range map[string]struct {
		from  *io.SectionReader
		limit int64
		want  []byte
	}{
		"all of it":               {io.NewSectionReader(f, 0, 9<<20), 9 << 20, content},
		"a part":                  {io.NewSectionReader(f, 100, 3<<20), 3 << 20, content[100 : 100+3<<20]},
		"a part of a part":        {io.NewSectionReader(io.NewSectionReader(f, 100, 3<<20), 10, 1000), 1000, content[110:1110]},
		"limited below its size":  {io.NewSectionReader(f, 100, 3<<20), 77, content[100:177]},
		"limited beyond its size": {io.NewSectionReader(f, 100, 77), 1 << 20, content[100:177]},
		"partly read":             {skipped(io.NewSectionReader(f, 5, 3<<20), 4000), 3 << 20, content[4005 : 5+3<<20]},
		"past the file's end":     {io.NewSectionReader(f, 9<<20-10, 1<<20), 1 << 20, content[9<<20-10:]},
		"in memory":               {io.NewSectionReader(bytes.NewReader(content), 7, 5000), 5000, content[7:5007]},
	} {
		t.Run(name, func(t *testing.T) {
			ours, theirs := pipe(t)
			arrived := make(chan []byte, 1)
			go func() {
				all, _ := io.ReadAll(io.LimitReader(theirs, int64(len(c.want))))
				arrived <- all
			}()
			limited := &io.LimitedReader{R: section{c.from}, N: c.limit}
			n, err := ours.ReadFrom(limited)
			if err != nil || n != int64(len(c.want)) {
				t.Fatalf("%d of %d bytes: %v", n, len(c.want), err)
			}
			if !bytes.Equal(<-arrived, c.want) {
				t.Error("other bytes arrived")
			}
			if left := c.limit - int64(len(c.want)); limited.N != left {
				t.Errorf("%d bytes are left of the limit, want %d", limited.N, left)
			}
		})
	}
}

// skipped is a section of which some bytes were read.
func skipped(r *io.SectionReader, n int64) *io.SectionReader {
	_, _ = io.CopyN(io.Discard, r, n)
	return r
}

func TestConn_LeavesASectionWhereItEnded(t *testing.T) {
	f, _ := filled(t, 1000)
	ours, theirs := pipe(t)
	go func() { _, _ = io.Copy(io.Discard, theirs) }()
	all := section{io.NewSectionReader(f, 0, 1000)}
	if _, err := ours.ReadFrom(&io.LimitedReader{R: all, N: 600}); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(all); err != nil || len(rest) != 400 {
		t.Errorf("%d bytes are left, want 400: %v", len(rest), err)
	}
}

func TestConn_SaysThatTheFileOrTheOtherEndIsGone(t *testing.T) {
	f, _ := filled(t, 16<<20)
	whole := func() io.Reader { return &io.LimitedReader{R: section{io.NewSectionReader(f, 0, 16<<20)}, N: 16 << 20} }
	ours, theirs := pipe(t)
	_ = theirs.(*net.TCPConn).SetLinger(0) //nolint:forcetypeassert // pipe's are
	_ = theirs.Close()
	if n, err := ours.ReadFrom(whole()); err == nil {
		t.Errorf("%d bytes went to nobody", n)
	}
	ours, _ = pipe(t)
	_ = f.Close()
	if n, err := ours.ReadFrom(whole()); err == nil || n > 0 {
		t.Errorf("%d bytes came of a closed file: %v", n, err)
	}
}

func TestConn_TakesFromOtherReadersAsAnyConnection(t *testing.T) {
	for name, r := range map[string]io.Reader{
		"limited":        &io.LimitedReader{R: bytes.NewReader([]byte("12345678")), N: 5},
		"a section":      &io.LimitedReader{R: io.NewSectionReader(bytes.NewReader([]byte("0123456")), 1, 5), N: 5},
		"without limits": bytes.NewReader([]byte("12345")),
	} {
		ours, theirs := pipe(t)
		if n, err := ours.ReadFrom(r); n != 5 || err != nil {
			t.Errorf("%s: %d bytes: %v", name, n, err)
		}
		arrived := make([]byte, 5)
		if _, err := io.ReadFull(theirs, arrived); err != nil || string(arrived) != "12345" {
			t.Errorf("%s: %q: %v", name, arrived, err)
		}
	}
}

// watched is a connection that notes what net/http has it take from.
type watched struct {
	conn
	files *int
}

func (w watched) ReadFrom(r io.Reader) (int64, error) {
	if _, s := sectionOf(r); s != nil {
		if f, _, _ := inFile(s); f != nil {
			*w.files++
		}
	}
	return w.conn.ReadFrom(r)
}

func TestBulk_IsSentFromItsFile(t *testing.T) {
	f, content := filled(t, 1<<20)
	server := httptest.NewServer(asElasticsearch(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
	defer server.Close()
	c, err := New(Options{URLs: []string{server.URL}})
	if err != nil {
		t.Fatal(err)
	}
	files := 0
	c.transport.next.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		made, err := dial(ctx, network, address)
		return watched{made.(conn), &files}, err //nolint:forcetypeassert // a TCP connection
	}
	_, said, err := c.ask(t.Context(), bulk{row: row{source: io.NewSectionReader(f, 1000, 500_000), size: 500_000, n: 1}})
	if err != nil || !bytes.Equal(said, content[1000:501_000]) || files != 1 {
		t.Errorf("%d bytes came back, sent from %d files: %v", len(said), files, err)
	}
}

func TestCannot_IsWhatNoOtherTryMends(t *testing.T) {
	for err, want := range map[error]bool{unix.EINVAL: true, unix.ENOSYS: true, unix.EOPNOTSUPP: true, unix.EPIPE: false, unix.ECONNRESET: false, nil: false} {
		if got := cannot(os.NewSyscallError("sendfile", err)); got != want {
			t.Errorf("%v: %v, want %v", err, got, want)
		}
	}
	if cannot(errors.New("another")) {
		t.Error("an error of another kind")
	}
}

func TestClient_SendsAPartOfAFileInClearAndOverTLS(t *testing.T) {
	f, content := filled(t, 6<<20)
	took := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.ContentLength == 5<<20 && bytes.Equal(body, content[1000:1000+5<<20]) {
			_, _ = io.WriteString(w, "the same")
		}
	}
	open, secure := httptest.NewServer(asElasticsearch(took)), httptest.NewTLSServer(asElasticsearch(took))
	defer open.Close()
	defer secure.Close()
	for _, o := range []Options{{URLs: []string{open.URL}}, {URLs: []string{secure.URL}, CAFile: authority(t, secure)}} {
		c, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 { // the last ones on a connection that is kept
			_, said, err := c.ask(t.Context(), bulk{row: row{source: io.NewSectionReader(f, 1000, 5<<20), size: 5 << 20, n: 1}})
			if err != nil || string(said) != "the same" {
				t.Errorf("%s: %q, %v", o.URLs[0], said, err)
			}
		}
	}
}
