package main

import (
	"fmt"
	"slices"
	"testing"
)

// step is the width of time that charts are computed with; Kibana chooses its own.
const step = "10m"

// aggregations is what a layer asks of Elasticsearch: its buckets within each other, and in the
// innermost its numbers. It follows what Kibana sends, without what the distribution that the tests
// run on lacks: the last value is asked for with top_hits, where Kibana has top_metrics.
func (d drawn) aggregations() (fields, error) {
	var buckets, numbers []string
	for _, id := range d.ColumnOrder {
		switch c := d.Columns[id]; {
		case c.IsBucketed:
			buckets = append(buckets, id)
		case c.OperationType != "formula" && c.OperationType != "math": // Kibana computes these of their parts
			numbers = append(numbers, id)
		}
	}
	aggs := fields{}
	for _, id := range numbers {
		if err := d.number(aggs, id, d.Columns[id]); err != nil {
			return nil, err
		}
	}
	for _, id := range slices.Backward(buckets) {
		bucket, err := d.bucket(id, d.Columns[id], aggs)
		if err != nil {
			return nil, err
		}
		aggs = fields{id: bucket}
	}
	return aggs, nil
}

// kinds are the aggregations of Lens's numbers.
var kinds = map[string]string{"sum": "sum", "average": "avg", "min": "min", "max": "max", "unique_count": "cardinality", "percentile": "percentiles", "median": "percentiles", "last_value": "top_hits"}

// number adds a column's aggregation. A count without a condition is none: each bucket has one.
func (d drawn) number(into fields, id string, c savedColumn) error {
	var value fields
	if kind := kinds[c.OperationType]; kind != "" {
		of := fields{"field": c.SourceField}
		switch c.OperationType {
		case "percentile":
			of["percents"] = []float64{c.Params.Percentile}
		case "median":
			of["percents"] = []float64{50}
		case "last_value":
			of = fields{"size": 1, "_source": false, "docvalue_fields": []any{fields{"field": c.SourceField}}, "sort": []any{fields{c.Params.SortField: fields{"order": "desc"}}}}
		}
		value = fields{kind: of}
	} else if c.OperationType != "count" {
		return fmt.Errorf("%s: %s: no aggregation of %q is known", d.name, id, c.OperationType)
	}
	switch {
	case c.Filter != nil:
		where, err := parseKQL(c.Filter.Query)
		if err != nil {
			return err
		}
		filtered := fields{"filter": where.query()}
		if value != nil {
			filtered["aggs"] = fields{"value": value}
		}
		into[id] = filtered
	case value != nil:
		into[id] = value
	}
	return nil
}

func (d drawn) bucket(id string, c savedColumn, within fields) (fields, error) {
	out := fields{}
	switch p := c.Params; c.OperationType {
	case "date_histogram":
		out["date_histogram"] = fields{"field": c.SourceField, "fixed_interval": step, "min_doc_count": 0, "time_zone": "UTC"}
	case "range":
		ranges := make([]any, len(p.Ranges))
		for i, r := range p.Ranges {
			one := fields{"key": fmt.Sprint(r.From), "from": r.From}
			if r.To != nil {
				one["to"] = *r.To
			}
			ranges[i] = one
		}
		out["range"] = fields{"field": c.SourceField, "ranges": ranges}
	case "filters":
		filters := fields{}
		for _, f := range p.Filters {
			where, err := parseKQL(f.Input.Query)
			if err != nil {
				return nil, err
			}
			filters[f.Label] = where.query()
		}
		out["filters"] = fields{"filters": filters}
	case "terms":
		order := "_count"
		if by := d.Columns[p.OrderBy.ColumnID]; p.OrderBy.Type == "column" && (by.OperationType != "count" || by.Filter != nil) {
			order = "order"
			within = with(within, fields{})
			if err := d.number(within, order, by); err != nil {
				return nil, err
			}
			if by.Filter != nil {
				return nil, fmt.Errorf("%s: %s is ordered by %s, which is filtered", d.name, id, p.OrderBy.ColumnID)
			}
		}
		out["terms"] = fields{"field": c.SourceField, "size": p.Size, "order": fields{order: "desc"}}
	default:
		return nil, fmt.Errorf("%s: %s: no aggregation of %q is known", d.name, id, c.OperationType)
	}
	if len(within) > 0 {
		out["aggs"] = within
	}
	return out, nil
}

// The test distribution of Elasticsearch has these; so what the dashboards show can be computed there.
func TestLayers_AskForAggregationsThatCanBeTried(t *testing.T) {
	there := []string{"terms", "date_histogram", "percentiles", "cardinality", "filters", "filter", "range", "top_hits", "sum", "avg", "min", "max"}
	var check func(name string, aggs fields)
	used := map[string]bool{}
	check = func(name string, aggs fields) {
		for _, one := range aggs {
			for kind, of := range one.(fields) {
				if kind == "aggs" {
					check(name, of.(fields))
				} else if used[kind] = true; !slices.Contains(there, kind) {
					t.Errorf("%s asks for %s", name, kind)
				}
			}
		}
	}
	for _, l := range drawnLayers(t) {
		aggs, err := l.aggregations()
		if err != nil {
			t.Error(err)
			continue
		}
		check(l.name, aggs)
	}
	if len(used) != len(there) {
		t.Errorf("the dashboards use %v of %v", used, there)
	}
}
