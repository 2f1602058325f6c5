package main

import (
	"fmt"
	"slices"
)

// chart is a picture of layers, as Lens draws it.
type chart struct {
	kind   string // of Lens's visualizations
	where  string // KQL; what the whole chart is about
	layers []layer
	visual fields
}

// about is the chart of the documents that match.
func (c chart) about(query string) chart {
	c.where = query
	return c
}

func layerID(i int) string { return fmt.Sprintf("layer%d", i) }

// figure is one number.
func figure(view dataView, value column) chart {
	return chart{kind: "lnsMetric", layers: []layer{{view, []column{value}}},
		visual: fields{"layerId": layerID(0), "layerType": "data", "metricAccessor": value.id}}
}

// table has a row for each value of its buckets, those with most of the first number first.
func table(view dataView, columns ...column) chart {
	l := layer{view, columns}
	shown := make([]any, len(columns))
	for i, c := range columns {
		shown[i] = fields{"columnId": c.id, "isTransposed": false, "isMetric": !c.bucket}
	}
	return chart{kind: "lnsDatatable", layers: []layer{l}, visual: fields{
		"layerId": layerID(0), "layerType": "data", "columns": shown, "paging": fields{"enabled": true, "size": 10},
		"rowHeight": "single", "rowHeightLines": 1, "headerRowHeight": "single", "headerRowHeightLines": 1,
	}}
}

// ring shows the parts of a whole.
func ring(view dataView, columns ...column) chart {
	l := layer{view, columns}
	return chart{kind: "lnsPie", layers: []layer{l}, visual: fields{"shape": "donut", "layers": []any{fields{
		"layerId": layerID(0), "layerType": "data", "primaryGroups": l.buckets(), "metrics": l.numbers(),
		"numberDisplay": "percent", "categoryDisplay": "default", "legendDisplay": "show", "nestedLegend": false,
	}}}}
}

// heat has a cell for each value of the second bucket at each of the first, the darker the more.
func heat(view dataView, x, y, value column) chart {
	return chart{kind: "lnsHeatmap", layers: []layer{{view, []column{x, y, value}}}, visual: fields{
		"shape": "heatmap", "layerId": layerID(0), "layerType": "data", "xAccessor": x.id, "yAccessor": y.id, "valueAccessor": value.id,
		"legend": fields{"isVisible": true, "position": "right", "type": "heatmap_legend"},
		"gridConfig": fields{"type": "heatmap_grid", "isCellLabelVisible": false,
			"isXAxisLabelVisible": true, "isYAxisLabelVisible": true, "isXAxisTitleVisible": false, "isYAxisTitleVisible": false},
	}}
}

// series is a layer in a chart with axes: along x, divided by its other bucket if it has one.
type series struct {
	shape   string // line, area_stacked, bar_stacked, bar_horizontal
	columns []column
	right   bool // with an axis of its own
}

func line(columns ...column) series  { return series{shape: "line", columns: columns} }
func areas(columns ...column) series { return series{shape: "area_stacked", columns: columns} }
func bars(columns ...column) series  { return series{shape: "bar_stacked", columns: columns} }
func lying(columns ...column) series { return series{shape: "bar_horizontal", columns: columns} }

func (s series) onTheRight() series {
	s.right = true
	return s
}

// axes draws series over one x: the bucket of time, where there is one, else the first.
func axes(view dataView, all ...series) chart {
	out := chart{kind: "lnsXY"}
	layers := make([]any, len(all))
	for i, s := range all {
		l := layer{view, s.columns}
		out.layers = append(out.layers, l)
		buckets := l.buckets()
		x := buckets[0]
		if slices.Contains(buckets, "time") {
			x = "time"
		}
		drawn := fields{"layerId": layerID(i), "layerType": "data", "seriesType": s.shape, "position": "top", "showGridlines": false,
			"xAccessor": x, "accessors": l.numbers()}
		for _, id := range buckets {
			if id != x {
				drawn["splitAccessor"] = id
			}
		}
		if s.right {
			var config []any
			for _, id := range l.numbers() {
				config = append(config, fields{"forAccessor": id, "axisMode": "right"})
			}
			drawn["yConfig"] = config
		}
		layers[i] = drawn
	}
	on := func() fields { return fields{"x": true, "yLeft": true, "yRight": true} }
	out.visual = fields{
		"layers": layers, "preferredSeriesType": all[0].shape, "legend": fields{"isVisible": true, "position": "bottom"},
		"valueLabels": "hide", "fittingFunction": "None", "yLeftExtent": fields{"mode": "full"}, "yRightExtent": fields{"mode": "full"},
		"axisTitlesVisibilitySettings": fields{"x": false, "yLeft": false, "yRight": false}, "tickLabelsVisibilitySettings": on(), "gridlinesVisibilitySettings": on(),
		"labelsOrientation": fields{"x": 0, "yLeft": 0, "yRight": 0},
	}
	return out
}

// held draws what was last known until something else is, as steps.
func (c chart) held() chart {
	c.visual = with(c.visual, fields{"fittingFunction": "Carry", "endValue": "Nearest", "curveType": "CURVE_STEP_AFTER"})
	return c
}

// references point to the data views of the layers.
func (c chart) references() []reference {
	out := make([]reference, len(c.layers))
	for i, l := range c.layers {
		out[i] = l.view.reference("indexpattern-datasource-layer-" + layerID(i))
	}
	return out
}

// attributes are those of a Lens object that stands in a dashboard, not in the library.
func (c chart) attributes() fields {
	layers := fields{}
	for i, l := range c.layers {
		layers[layerID(i)] = l.lens()
	}
	return fields{
		"title": "", "description": "", "type": "lens", "visualizationType": c.kind, "references": c.references(),
		"state": fields{
			"query": kql(c.where), "filters": []any{}, "internalReferences": []any{}, "adHocDataViews": fields{}, "visualization": c.visual,
			"datasourceStates": fields{"formBased": fields{"layers": layers}, "indexpattern": fields{"layers": fields{}}, "textBased": fields{"layers": fields{}}},
		},
	}
}
