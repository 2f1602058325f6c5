package main

import "fmt"

// column is one column of a layer's table: what rows are told apart by (a bucket), or a number of
// each row. Lens turns it into an aggregation of Elasticsearch.
type column struct {
	id, label string
	operation string // as Lens names it
	field     string
	filter    string // KQL; only what it matches is counted
	bucket    bool
	dataType  string
	scale     string
	params    fields
	perSecond bool
	divided   *[2]column // a formula: the first by the second
}

// records is the field that Lens has for counting.
const records = "___records___"

// Buckets.

// times divides by time; Kibana chooses the width of the steps.
func times() column {
	return column{id: "time", label: "Time", operation: "date_histogram", field: "@timestamp", bucket: true, dataType: "date", scale: "interval",
		params: fields{"interval": "auto", "includeEmptyRows": true, "dropPartials": false}}
}

// mostRecords is what top orders by where no column of the chart is to say it.
const mostRecords = ""

// top divides by the values of a field: the size values that have most of what the column by says.
func top(size int, id, field, label, by string) column {
	order := fields{"orderBy": fields{"type": "column", "columnId": by}}
	if by == mostRecords {
		counted := count("", "Count of records")
		order = fields{"orderBy": fields{"type": "custom"}, "orderAgg": fields{
			"label": counted.label, "dataType": counted.dataType, "operationType": counted.operation, "isBucketed": false, "scale": counted.scale,
			"sourceField": counted.field, "params": counted.params,
		}}
	}
	return column{id: id, label: label, operation: "terms", field: field, bucket: true, dataType: "string", scale: "ordinal",
		params: with(order, fields{
			"size": size, "orderDirection": "desc", "otherBucket": false, "missingBucket": false,
			"parentFormat": fields{"id": "terms"}, "include": []any{}, "exclude": []any{}, "includeIsRegex": false, "excludeIsRegex": false,
		})}
}

// numeric says that the values of a field that top divides by are numbers.
func (c column) numeric() column {
	c.dataType = "number"
	return c
}

// andOthers adds what has other values, as one; so that parts that are stacked make the whole.
func (c column) andOthers() column {
	c.params = with(c.params, fields{"otherBucket": true})
	return c
}

// class is a part of the documents with a name.
type class struct{ label, where string }

// classes divides by conditions.
func classes(id, label string, all ...class) column {
	filters := make([]any, len(all))
	for i, one := range all {
		filters[i] = fields{"label": one.label, "input": kql(one.where)}
	}
	return column{id: id, label: label, operation: "filters", bucket: true, dataType: "string", scale: "ordinal", params: fields{"filters": filters}}
}

// ranges divides a number by bounds, and what is beyond the last.
func ranges(id, field, label string, bounds ...float64) column {
	list := make([]any, len(bounds))
	for i, from := range bounds {
		list[i] = fields{"from": from, "to": nil, "label": ""}
		if i+1 < len(bounds) {
			list[i] = fields{"from": from, "to": bounds[i+1], "label": ""}
		}
	}
	return column{id: id, label: label, operation: "range", field: field, bucket: true, dataType: "string", scale: "ordinal",
		params: fields{"type": "range", "maxBars": "auto", "ranges": list,
			"parentFormat": fields{"id": "range", "params": fields{"template": "arrow_right", "replaceInfinity": true}}}}
}

// Numbers.

func count(id, label string) column {
	return number(id, label, "count", records, fields{"emptyAsNull": false})
}

func number(id, label, operation, field string, params fields) column {
	return column{id: id, label: label, operation: operation, field: field, dataType: "number", scale: "ratio", params: params}
}

func sum(id, label, field string) column {
	return number(id, label, "sum", field, fields{"emptyAsNull": false})
}
func average(id, label, field string) column { return number(id, label, "average", field, nullable()) }
func median(id, label, field string) column  { return number(id, label, "median", field, nullable()) }
func minimum(id, label, field string) column { return number(id, label, "min", field, nullable()) }
func maximum(id, label, field string) column { return number(id, label, "max", field, nullable()) }

func distinct(id, label, field string) column {
	return number(id, label, "unique_count", field, fields{"emptyAsNull": false})
}

func percentile(id, label, field string, percent int) column {
	return number(id, label, "percentile", field, fields{"percentile": percent})
}

// nullable leaves a cell empty that has nothing in it: no requests have no latency, not one of 0.
func nullable() fields { return fields{"emptyAsNull": true} }

// latest is when the last document was written.
func latest(label string) column {
	c := maximum("last", label, "@timestamp")
	c.dataType = "date"
	return c
}

// last is the value of the newest document that has one.
func last(id, label, field, dataType string) column {
	c := column{id: id, label: label, operation: "last_value", field: field, filter: field + " : *", dataType: dataType, scale: "ordinal",
		params: fields{"sortField": "@timestamp", "showArrayValues": false}}
	if dataType == "number" {
		c.scale = "ratio"
	}
	return c
}

// share is how much of the whole something is, as a percentage.
func share(id, label string, part, whole column) column {
	return quotient(id, label, part, whole).as("percent", 1)
}

func quotient(id, label string, a, b column) column {
	return column{id: id, label: label, operation: "formula", dataType: "number", scale: "ratio", divided: &[2]column{a, b}, params: fields{}}
}

// where counts only the documents that match, beside those that the column matches already.
func (c column) where(query string) column {
	if c.filter != "" {
		query = "(" + c.filter + ") and (" + query + ")"
	}
	c.filter = query
	return c
}

// rate says the number per second of time, in charts over time.
func (c column) rate() column {
	c.perSecond = true
	return c.as("number", 2)
}

func (c column) as(format string, decimals int) column {
	c.params = with(c.params, fields{"format": fields{"id": format, "params": fields{"decimals": decimals}}})
	return c
}

// formula is the text that Lens's editor shows; a condition may hold no single quote.
func (c column) formula() string {
	var arguments string
	if c.field != records {
		arguments = c.field
	}
	if c.filter != "" {
		if arguments != "" {
			arguments += ", "
		}
		arguments += "kql='" + c.filter + "'"
	}
	return fmt.Sprintf("%s(%s)", c.operation, arguments)
}

// lens is the column as Lens has it. A formula is four: itself, its two parts, and the arithmetic.
func (c column) lens(into fields) (order []string) {
	out := fields{
		"label": c.label, "customLabel": true, "dataType": c.dataType, "operationType": c.operation, "isBucketed": c.bucket, "scale": c.scale, "params": c.params,
	}
	if c.field != "" {
		out["sourceField"] = c.field
	}
	if c.filter != "" {
		out["filter"] = kql(c.filter)
	}
	if c.perSecond {
		out["timeScale"] = "s"
	}
	into[c.id], order = out, []string{c.id}
	if c.divided == nil {
		return order
	}
	part := "Part of " + c.label
	a, b := c.divided[0], c.divided[1]
	a.id, a.label, b.id, b.label = c.id+"X0", part, c.id+"X1", part
	text := a.formula() + " / " + b.formula()
	math := c.id + "X2"
	out["params"] = with(c.params, fields{"formula": text, "isFormulaBroken": false})
	out["references"] = []string{math}
	order = append(order, a.lens(into)...)
	order = append(order, b.lens(into)...)
	into[math] = fields{
		"label": part, "customLabel": true, "dataType": "number", "operationType": "math", "isBucketed": false, "scale": "ratio",
		"references": []string{a.id, b.id},
		"params": fields{"tinymathAst": fields{
			"type": "function", "name": "divide", "args": []string{a.id, b.id}, "location": fields{"min": 0, "max": len(text)}, "text": text,
		}},
	}
	return append(order, math)
}

// layer is one table that Lens draws: buckets within buckets in their order, then numbers.
type layer struct {
	view    dataView
	columns []column
}

func (l layer) lens() fields {
	columns := fields{}
	var order, parts []string
	for _, c := range l.columns {
		ids := c.lens(columns)
		order = append(order, ids[0])
		parts = append(parts, ids[1:]...)
	}
	return fields{"columns": columns, "columnOrder": append(order, parts...), "incompleteColumns": fields{}, "sampling": 1, "ignoreGlobalFilters": false}
}

// buckets and numbers tell the ids of the columns of each kind, in their order.
func (l layer) buckets() []string { return l.ids(true) }
func (l layer) numbers() []string { return l.ids(false) }

func (l layer) ids(bucket bool) (out []string) {
	for _, c := range l.columns {
		if c.bucket == bucket {
			out = append(out, c.id)
		}
	}
	return out
}
