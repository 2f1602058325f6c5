package proxy

import (
	"fmt"
	"html"
	"net/http"
	"strconv"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
)

// How often the page loads itself again.
const (
	pageSoon  = 2 * time.Second // while the start is nearly over, or nobody knows
	pageLater = 5 * time.Second
	pageFar   = 10 * time.Second // before it is
	pageStuck = 30 * time.Second // while no pod can come
)

// takesPage tells whether the client is a browser that would show it.
func (x *exchange) takesPage() bool {
	return (x.r.Method == http.MethodGet || x.r.Method == http.MethodHead) && accepts(x.r.Fields, "text/html")
}

// writePage answers with the page. Its status is 503, so that nobody takes it for the application's,
// or keeps it.
func (x *exchange) writePage(p dispatch.Progress, retryAfter int) error {
	again := seconds(pageAgain(p))
	return x.writeOwn(ownAnswer{
		status: http.StatusServiceUnavailable, contentType: "text/html; charset=utf-8", body: page(p, again), retryAfter: retryAfter,
		add: []message.Field{
			{Name: "Refresh", Value: strconv.Itoa(again)},
			{Name: "Content-Security-Policy", Value: "default-src 'none'; style-src 'unsafe-inline'"},
		},
	})
}

// pageAgain is when the page loads itself again.
func pageAgain(p dispatch.Progress) time.Duration {
	left := p.Expected - p.Elapsed
	switch {
	case p.Blocked.Reason != "":
		return pageStuck
	case left > pageFar:
		return pageLater
	}
	return pageSoon
}

// page says how far the start is. It needs nothing but itself.
func page(p dispatch.Progress, again int) []byte {
	title, text, bar := "Starting", progressText(p), ""
	switch {
	case p.Blocked.Reason != "":
		title, text = "It cannot start", "What keeps it from starting: "+p.Blocked.Reason+". It is tried again."
	case p.Expected > 0:
		elapsed, expected := min(seconds(p.Elapsed), seconds(p.Expected)), seconds(p.Expected)
		bar = fmt.Sprintf(`<progress aria-label="Progress of the start" max="%d" value="%d">%s</progress>`, expected, elapsed, html.EscapeString(text))
	default:
		bar = `<progress aria-label="Progress of the start"></progress>`
	}
	return fmt.Appendf(nil, pageText, again, title, title, html.EscapeString(text), bar, again)
}

const pageText = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<meta http-equiv="refresh" content="%d">
<title>%s</title>
<style>
:root { color-scheme: light dark; font-family: system-ui, sans-serif; }
main { max-width: 28rem; margin: 20vh auto 0; padding: 0 1rem; }
progress { width: 100%%; }
</style>
</head>
<body>
<main>
<h1>%s</h1>
<p role="status">%s</p>
%s
<p>This page loads itself again every %d seconds.</p>
</main>
</body>
</html>
`
