package main

import (
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/bargauge"
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// Dashboards are of the classic schema: every Grafana there is reads it, and kube-prometheus-stack's sidecar
// loads no other. The newer one is for Grafana 12 and up.
type (
	builder = dashboard.DashboardBuilder //nolint:staticcheck // said above
	built   = dashboard.Dashboard        //nolint:staticcheck // said above
)

var newBuilder = dashboard.NewDashboardBuilder //nolint:staticcheck // said above

// Units, as Grafana names them.
const (
	count     = "short"
	perSecond = "cps"
	seconds   = "s"
	inBytes   = "bytes"
	share     = "percentunit"
)

// Grafana's grid has 24 columns.
const (
	statWidth, statHeight = 4, 4
	lineWidth, lineHeight = 8, 8
)

// query is one of a panel, with what its series are called.
type query struct{ expr, legend string }

// expand names the programs that the dashboard is about wherever a selector begins with @: what is exported
// has the label job wherever it is scraped from.
func expand(expr string) string {
	return strings.NewReplacer("{@", `{job=~"$job"`, "$rate", "[$__rate_interval]").Replace(expr)
}

func source() common.DataSourceRef {
	return common.DataSourceRef{Type: new("prometheus"), Uid: new("${datasource}")}
}

// board begins a dashboard of a service.
func board(uid, title, about, service string) *builder {
	jobs := `label_values(nemesis_build_info{service="` + service + `"}, job)`
	return newBuilder("Nemesis / "+title).
		Uid(uid).Description(about).Tags([]string{"nemesis"}).Timezone("browser").Editable().
		Time("now-3h", "now").Refresh("30s").Tooltip(dashboard.DashboardCursorSyncCrosshair).
		Link(dashboard.NewDashboardLinkBuilder("Nemesis").Type(dashboard.DashboardLinkTypeDashboards).Tags([]string{"nemesis"}).KeepTime(true)).
		WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Label("Prometheus").Type("prometheus")).
		WithVariable(dashboard.NewQueryVariableBuilder("job").Label("Job").Datasource(source()).
			Query(dashboard.StringOrMap{String: &jobs}).Refresh(dashboard.VariableRefreshOnTimeRangeChanged).
			Multi(true).IncludeAll(true).AllValue(".+").
			Current(dashboard.VariableOption{
				Text: dashboard.StringOrArrayOfString{String: new("All")}, Value: dashboard.StringOrArrayOfString{String: new("$__all")},
			}))
}

// section adds a row and what is in it.
func section(b *builder, title string, panels ...cog.Builder[dashboard.Panel]) {
	b.WithRow(dashboard.NewRowBuilder(title))
	for _, p := range panels {
		b.WithPanel(p)
	}
}

func target(q query) *prometheus.DataqueryBuilder {
	return prometheus.NewDataqueryBuilder().Datasource(source()).Expr(expand(q.expr)).LegendFormat(q.legend).RefId("A")
}

// figure is one number, red from a bound on. With a bound of 0 it is never red.
func figure(title, about, unit string, red float64, expr string) cog.Builder[dashboard.Panel] {
	steps := []dashboard.Threshold{{Color: "green"}}
	if red > 0 {
		steps = append(steps, dashboard.Threshold{Value: &red, Color: "red"})
	}
	return stat.NewPanelBuilder().Title(title).Description(about).Datasource(source()).Unit(unit).
		Span(statWidth).Height(statHeight).GraphMode(common.BigValueGraphModeArea).
		Thresholds(dashboard.NewThresholdsConfigBuilder().Mode(dashboard.ThresholdsModeAbsolute).Steps(steps)).
		ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"})).
		WithTarget(target(query{expr, title}).Range())
}

// lines are values over time.
func lines(title, about, unit string, queries ...query) cog.Builder[dashboard.Panel] {
	p := timeseries.NewPanelBuilder().Title(title).Description(about).Datasource(source()).Unit(unit).Min(0).
		Span(lineWidth).Height(lineHeight).LineWidth(1).FillOpacity(10).ShowPoints(common.VisibilityModeNever).
		Legend(common.NewVizLegendOptionsBuilder().DisplayMode(common.LegendDisplayModeList).Placement(common.LegendPlacementBottom).ShowLegend(true)).
		Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending))
	for i, q := range queries {
		p.WithTarget(target(q).Range().RefId(string(rune('A' + i))))
	}
	return p
}

// most are how many bars there may be, and so how many applications or pods are named at a time.
const most = "10"

// top names those applications of which there is most, now: one query, and never more than some bars. expr
// is a sum by application (byApplication).
func top(title, about, unit, expr string) cog.Builder[dashboard.Panel] {
	return bars(title, about, unit, application(`topk(`+most+`, `+expr+` > 0)`), "{{application}}")
}

// bars are values of now.
func bars(title, about, unit, expr, legend string) cog.Builder[dashboard.Panel] {
	return bargauge.NewPanelBuilder().Title(title).Description(about).Datasource(source()).Unit(unit).Min(0).
		Span(lineWidth).Height(lineHeight).Orientation(common.VizOrientationHorizontal).DisplayMode(common.BarGaugeDisplayModeBasic).
		ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"})).
		WithTarget(target(query{expr, legend}).Instant())
}

// byApplication adds up by application. Its namespace is in exported_namespace where Prometheus gives its
// target's that name, as it does by default, and in namespace otherwise.
const byApplication = "sum by (namespace, exported_namespace, deployment) "

// lastHour is how much a counter has grown, also one whose series began with its first count: increase takes
// that for the beginning.
func lastHour(counter string) string {
	return `(` + counter + ` - (` + counter + ` offset 1h or ` + counter + ` * 0))`
}

// application gives the few that are left one name each.
func application(expr string) string {
	return `label_join(label_replace(label_replace(` + expr +
		`, "application", "$1", "namespace", "(.+)"), "application", "$1", "exported_namespace", "(.+)"), "application", "/", "application", "deployment")`
}

// quantiles are lines of a histogram's quantiles. by are further labels; "" is none.
func quantiles(histogram, by, legend string, of ...string) []query {
	labels := "le"
	if by != "" {
		labels += ", " + by
	}
	list := make([]query, 0, len(of))
	for _, q := range of {
		list = append(list, query{`histogram_quantile(` + q + `, sum by (` + labels + `) (rate(` + histogram + `_bucket{@}$rate)))`, strings.TrimSpace(legend + " p" + strings.TrimPrefix(q, "0."))})
	}
	return list
}

// encryption is how a service speaks with the others.
func encryption() []cog.Builder[dashboard.Panel] {
	return []cog.Builder[dashboard.Panel]{
		lines("Certificate ends in", "It is renewed when a third of its time is left; below zero there is none that others verify.", seconds,
			query{`nemesis_tls_certificate_expires_timestamp_seconds{@} - time()`, "{{instance}}"}),
		lines("Not served", "Requests in clear text, and TLS handshakes that failed.", perSecond, query{`sum by (why) (rate(nemesis_tls_refused_total{@}$rate))`, "{{why}}"}),
		lines("Clear text is allowed", "1 where the setting clear-text is on.", count, query{`nemesis_clear_text{@}`, "{{instance}}"}),
		lines("Calls in clear text", "Connections that were made to others so.", perSecond, query{`sum by (instance) (rate(nemesis_clear_text_connections_total{@}$rate))`, "{{instance}}"}),
	}
}

// process are the panels of every Go program.
func process(service string) []cog.Builder[dashboard.Panel] {
	// On the instance: what every Go program exports says nothing of Nemesis.
	of := ` * on (job, instance) group_left () nemesis_build_info{@,service="` + service + `"}`
	return []cog.Builder[dashboard.Panel]{
		lines("Processor", "In cores.", count, query{`rate(process_cpu_seconds_total{@}$rate)` + of, "{{instance}}"}),
		lines("Memory", "Resident.", inBytes, query{`process_resident_memory_bytes{@}` + of, "{{instance}}"}),
		lines("Waiting for locks", "Goroutines that wait for a lock, on the average. It is near 0; where it is not, more cores do not help.", count,
			query{`rate(go_sync_mutex_wait_total_seconds_total{@}$rate)` + of, "{{instance}}"}),
	}
}
