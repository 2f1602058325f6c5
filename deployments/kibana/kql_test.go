package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// condition is a query in what the dashboards use of the Kibana Query Language: field : value,
// field : *, field : (a or b), field >= number; and, or, not, parentheses. Nothing here comes from
// Kibana, so what it cannot read may be right and is still refused.
type condition struct {
	and, or         []condition
	not             *condition
	field           string
	operator, value string // : < <= > >=; the value * asks whether there is one
}

var kqlToken = regexp.MustCompile(`\s*("(?:[^"\\]|\\.)*"|<=|>=|[:<>()]|[^\s:<>()"]+)`)

// parseKQL reads a query; the empty one is the condition that all documents meet.
func parseKQL(query string) (condition, error) {
	if strings.TrimSpace(query) == "" {
		return condition{}, nil
	}
	p := kqlParser{}
	rest := query
	for strings.TrimSpace(rest) != "" {
		m := kqlToken.FindStringSubmatchIndex(rest)
		if m == nil || m[0] != 0 {
			return condition{}, fmt.Errorf("kql %q: what is %q?", query, rest)
		}
		p.tokens = append(p.tokens, rest[m[2]:m[3]])
		rest = rest[m[1]:]
	}
	c, err := p.any()
	if err == nil && len(p.tokens) > 0 {
		err = fmt.Errorf("%q is left over", strings.Join(p.tokens, " "))
	}
	if err != nil {
		return condition{}, fmt.Errorf("kql %q: %w", query, err)
	}
	return c, nil
}

type kqlParser struct{ tokens []string }

func (p *kqlParser) peek() string {
	if len(p.tokens) == 0 {
		return ""
	}
	return p.tokens[0]
}

func (p *kqlParser) take() string {
	t := p.peek()
	if t != "" {
		p.tokens = p.tokens[1:]
	}
	return t
}

func (p *kqlParser) took(word string) bool {
	if !strings.EqualFold(p.peek(), word) {
		return false
	}
	p.take()
	return true
}

func (p *kqlParser) any() (condition, error) {
	one, err := p.all()
	list := []condition{one}
	for err == nil && p.took("or") {
		one, err = p.all()
		list = append(list, one)
	}
	if len(list) == 1 {
		return one, err
	}
	return condition{or: list}, err
}

func (p *kqlParser) all() (condition, error) {
	one, err := p.single()
	list := []condition{one}
	for err == nil && p.took("and") {
		one, err = p.single()
		list = append(list, one)
	}
	if len(list) == 1 {
		return one, err
	}
	return condition{and: list}, err
}

func (p *kqlParser) single() (condition, error) {
	if p.took("not") {
		c, err := p.single()
		return condition{not: &c}, err
	}
	if p.took("(") {
		c, err := p.any()
		if err == nil && !p.took(")") {
			err = fmt.Errorf("a ) is missing before %q", p.peek())
		}
		return c, err
	}
	field, operator := p.take(), p.take()
	if !regexp.MustCompile(`^@?[a-z][a-z0-9_.]*$`).MatchString(field) {
		return condition{}, fmt.Errorf("%q is no field", field)
	}
	if !slices.Contains([]string{":", "<", "<=", ">", ">="}, operator) {
		return condition{}, fmt.Errorf("%q is no operator", operator)
	}
	if operator == ":" && p.took("(") {
		var list []condition
		for {
			one, err := p.value(field, operator)
			if err != nil {
				return condition{}, err
			}
			list = append(list, one)
			if p.took(")") {
				return condition{or: list}, nil
			}
			if !p.took("or") {
				return condition{}, fmt.Errorf("in the list of %s: %q is neither or nor )", field, p.peek())
			}
		}
	}
	return p.value(field, operator)
}

func (p *kqlParser) value(field, operator string) (condition, error) {
	v := p.take()
	if quoted, ok := strings.CutPrefix(v, `"`); ok {
		return condition{field: field, operator: operator, value: strings.ReplaceAll(strings.TrimSuffix(quoted, `"`), `\"`, `"`)}, nil
	}
	if v == "" || strings.ContainsAny(v, `:<>()`) || v != "*" && strings.Contains(v, "*") || slices.Contains([]string{"and", "or", "not"}, strings.ToLower(v)) {
		return condition{}, fmt.Errorf("%s %s %q: no value", field, operator, v)
	}
	if _, err := strconv.ParseFloat(v, 64); operator != ":" && err != nil {
		return condition{}, fmt.Errorf("%s %s %q: no number", field, operator, v)
	}
	return condition{field: field, operator: operator, value: v}, nil
}

// each visits the comparisons.
func (c condition) each(visit func(condition)) {
	for _, one := range slices.Concat(c.and, c.or) {
		one.each(visit)
	}
	if c.not != nil {
		c.not.each(visit)
	}
	if c.field != "" {
		visit(c)
	}
}

// query is what Kibana makes of the condition for Elasticsearch, for fields that are not text.
func (c condition) query() fields {
	list := func(of []condition) []any {
		out := make([]any, len(of))
		for i, one := range of {
			out[i] = one.query()
		}
		return out
	}
	switch {
	case c.and != nil:
		return fields{"bool": fields{"filter": list(c.and)}}
	case c.or != nil:
		return fields{"bool": fields{"should": list(c.or), "minimum_should_match": 1}}
	case c.not != nil:
		return fields{"bool": fields{"must_not": []any{c.not.query()}}}
	case c.field == "":
		return fields{"match_all": fields{}}
	case c.operator != ":":
		name := map[string]string{"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}[c.operator]
		return fields{"range": fields{c.field: fields{name: c.value}}}
	case c.value == "*":
		return fields{"exists": fields{"field": c.field}}
	}
	return fields{"term": fields{c.field: c.value}}
}

// document is a record, its fields by their whole names.
type document map[string][]any

// matches computes the condition without Elasticsearch.
func (c condition) matches(d document) bool {
	is := func(one condition) bool { return one.matches(d) }
	switch {
	case c.and != nil:
		return !slices.ContainsFunc(c.and, func(one condition) bool { return !is(one) })
	case c.or != nil:
		return slices.ContainsFunc(c.or, is)
	case c.not != nil:
		return !is(*c.not)
	case c.field == "":
		return true
	case c.operator == ":" && c.value == "*":
		return len(d[c.field]) > 0
	case c.operator == ":":
		return slices.ContainsFunc(d[c.field], func(v any) bool { return same(v, c.value) })
	}
	bound, _ := strconv.ParseFloat(c.value, 64)
	return slices.ContainsFunc(d[c.field], func(v any) bool {
		n, ok := v.(float64)
		switch c.operator {
		case "<":
			return ok && n < bound
		case "<=":
			return ok && n <= bound
		case ">":
			return ok && n > bound
		}
		return ok && n >= bound
	})
}

func same(v any, text string) bool {
	switch v := v.(type) {
	case float64:
		n, err := strconv.ParseFloat(text, 64)
		return err == nil && n == v
	case bool:
		return strconv.FormatBool(v) == text
	case time.Time:
		return v.Format(time.RFC3339Nano) == text
	}
	return v == text
}

func TestKQL_IsReadAsItIsMeant(t *testing.T) {
	yes, no := true, false
	d := document{"a": {"x"}, "n": {float64(500)}, "list": {"one", "two"}, "b": {true}, "e.type": {"cut-off"}}
	for query, want := range map[string]*bool{
		``: &yes, `a : x`: &yes, `a : "x"`: &yes, `a : y`: &no, `a:x`: &yes, `a : *`: &yes, `z : *`: &no, `not z : *`: &yes,
		`n >= 500`: &yes, `n > 500`: &no, `n < 501 and n <= 500`: &yes, `n : 500`: &yes, `a > 1`: &no,
		`list : two`: &yes, `list : (three or two)`: &yes, `b : true`: &yes, `b : false`: &no,
		`a : y and a : x or n : 500`: &yes, `a : y and (a : x or n : 500)`: &no, `not a : x or n : 500`: &yes, `not (a : x or n : 500)`: &no,
		`e.type : "cut-off"`: &yes, `(a : *) and (n >= 500)`: &yes,
		`a`: nil, `a :`: nil, `: x`: nil, `a : x and`: nil, `(a : x`: nil, `a : x)`: nil, `a = x`: nil, `n > x`: nil, `a : x*`: nil, `a : (x or`: nil, `a : (x, y)`: nil, `a : "x`: nil, `A : x`: nil,
	} {
		c, err := parseKQL(query)
		switch {
		case want == nil && err == nil:
			t.Errorf("%q is read as %+v; it is none", query, c)
		case want != nil && err != nil:
			t.Errorf("%q: %v", query, err)
		case want != nil && c.matches(d) != *want:
			t.Errorf("%q: %v, not %v", query, !*want, *want)
		}
	}
}
