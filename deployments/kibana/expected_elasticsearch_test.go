//go:build elasticsearch

package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// line of a layer's table: which buckets it is of, and its numbers by their columns.
type tableRow struct {
	buckets string
	numbers map[string]any // float64, string or bool; ranked where percentiles are expected; nil: none
}

// ranked is a percentile that Elasticsearch may estimate.
type ranked struct {
	percent float64
	sorted  []float64
}

// fits says whether the value has the rank: so many of all lie below it.
func (r ranked) fits(v float64) bool {
	n := float64(len(r.sorted))
	below, to := 0.0, 0.0
	for _, one := range r.sorted {
		if one < v-1e-6 {
			below++
		}
		if one <= v+1e-6 {
			to++
		}
	}
	slack := 1/n + 0.01
	return v >= r.sorted[0]-1e-6 && v <= r.sorted[len(r.sorted)-1]+1e-6 && below/n <= r.percent/100+slack && to/n >= r.percent/100-slack
}

// expect computes a layer's table of documents, without Elasticsearch.
func (d drawn) expect(documents []document) ([]tableRow, error) {
	where, err := parseKQL(d.where)
	if err != nil {
		return nil, err
	}
	return d.divide(matching(documents, where), d.ColumnOrder, "")
}

func matching(documents []document, c condition) (out []document) {
	for _, one := range documents {
		if c.matches(one) {
			out = append(out, one)
		}
	}
	return out
}

func (d drawn) divide(documents []document, order []string, at string) ([]tableRow, error) {
	if len(order) == 0 || !d.Columns[order[0]].IsBucketed {
		numbers := map[string]any{}
		for _, id := range order {
			var err error
			if numbers[id], err = d.compute(documents, d.Columns[id]); err != nil {
				return nil, err
			}
		}
		return []tableRow{{at, numbers}}, nil
	}
	parts, err := d.parts(documents, d.Columns[order[0]])
	if err != nil {
		return nil, err
	}
	var out []tableRow
	for _, p := range parts {
		rows, err := d.divide(p.documents, order[1:], at+"/"+p.key)
		if err != nil {
			return nil, err
		}
		out = append(out, rows...)
	}
	return out, nil
}

type part struct {
	key       string
	by        float64
	documents []document
}

func (d drawn) parts(documents []document, c savedColumn) ([]part, error) {
	var out []part
	add := func(key string, one document) {
		i := slices.IndexFunc(out, func(p part) bool { return p.key == key })
		if i < 0 {
			i, out = len(out), append(out, part{key: key})
		}
		out[i].documents = append(out[i].documents, one)
	}
	switch c.OperationType {
	case "date_histogram":
		for _, one := range documents {
			at := one[c.SourceField][0].(time.Time)
			add(fmt.Sprint(at.Truncate(10*time.Minute).UnixMilli()), one)
		}
	case "filters":
		for _, f := range c.Params.Filters {
			where, err := parseKQL(f.Input.Query)
			if err != nil {
				return nil, err
			}
			for _, one := range matching(documents, where) {
				add(f.Label, one)
			}
		}
	case "range":
		for _, r := range c.Params.Ranges {
			for _, one := range documents {
				if values := one[c.SourceField]; len(values) > 0 && values[0].(float64) >= r.From && (r.To == nil || values[0].(float64) < *r.To) {
					add(fmt.Sprint(r.From), one)
				}
			}
		}
	case "terms":
		for _, one := range documents {
			for _, v := range one[c.SourceField] {
				add(fmt.Sprint(v), one)
			}
		}
		for i := range out {
			out[i].by = float64(len(out[i].documents))
			if by := d.Columns[c.Params.OrderBy.ColumnID]; c.Params.OrderBy.Type == "column" {
				v, err := d.compute(out[i].documents, by)
				if err != nil {
					return nil, err
				}
				out[i].by, _ = v.(float64)
			}
		}
		slices.SortFunc(out, func(a, b part) int { return cmp.Or(cmp.Compare(b.by, a.by), strings.Compare(a.key, b.key)) })
		out = out[:min(len(out), c.Params.Size)]
	default:
		return nil, fmt.Errorf("%s: %s", d.name, c.OperationType)
	}
	return out, nil
}

func (d drawn) compute(documents []document, c savedColumn) (any, error) {
	if c.Filter != nil {
		where, err := parseKQL(c.Filter.Query)
		if err != nil {
			return nil, err
		}
		documents = matching(documents, where)
	}
	switch c.OperationType {
	case "count":
		return float64(len(documents)), nil
	case "formula":
		return d.compute(documents, d.Columns[c.References[0]])
	case "math":
		var of [2]float64
		for i, id := range c.References {
			v, err := d.compute(documents, d.Columns[id])
			if err != nil {
				return nil, err
			}
			of[i] = v.(float64)
		}
		return of[0] / of[1], nil
	case "last_value":
		var newest document
		for _, one := range documents {
			if newest == nil || one["@timestamp"][0].(time.Time).After(newest["@timestamp"][0].(time.Time)) {
				newest = one
			}
		}
		if newest == nil {
			return nil, nil
		}
		return newest[c.SourceField][0], nil
	}
	var values []float64
	different := map[any]bool{}
	for _, one := range documents {
		for _, v := range one[c.SourceField] {
			different[v] = true
			switch v := v.(type) {
			case float64:
				values = append(values, v)
			case time.Time:
				values = append(values, float64(v.UnixMilli()))
			}
		}
	}
	total := 0.0
	for _, v := range values {
		total += v
	}
	switch {
	case c.OperationType == "unique_count":
		return float64(len(different)), nil
	case c.OperationType == "sum":
		return total, nil
	case len(values) == 0:
		return nil, nil
	}
	slices.Sort(values)
	switch c.OperationType {
	case "average":
		return total / float64(len(values)), nil
	case "min":
		return values[0], nil
	case "max":
		return values[len(values)-1], nil
	case "median":
		return ranked{50, values}, nil
	case "percentile":
		return ranked{c.Params.Percentile, values}, nil
	}
	return nil, fmt.Errorf("%s: %s", d.name, c.OperationType)
}

// agree compares a number with the one that is expected.
func agree(want, got any) bool {
	switch want := want.(type) {
	case ranked:
		v, ok := got.(float64)
		return ok && want.fits(v)
	case float64:
		v, ok := got.(float64)
		return ok && (math.Abs(v-want) <= 1e-9*math.Max(1, math.Abs(want)) || math.IsNaN(v) && math.IsNaN(want))
	}
	return want == got
}
