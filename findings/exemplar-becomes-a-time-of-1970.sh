#!/usr/bin/env bash
# Python's parser of the Prometheus text format reads the value of an exemplar as the sample's time.
#
# Software   PyPI prometheus-client 0.26.0 (prometheus_client.parser) and, beside it, Go's
#            github.com/prometheus/common v0.70.0 (expfmt.TextParser), both in a temporary folder.
# Input      A line as OpenMetrics writes it, on a page that is read as the older text format, which model
#            servers and their proxies do serve:  name_bucket{le="1"} 5 # {trace_id="x"} 0.5
#            and the same with a time of its own before the "#".
# Behaviour  Python's parser raises nothing. It returns the sample with the timestamp 0.0005: the exemplar's
#            value as a number of milliseconds, half of one after 1970 began. A time that the line had is lost;
#            the exemplar is not returned. The parser of OpenMetrics in the same package reads the
#            same line as a sample without a time and with an exemplar.
#            Go's parser refuses the page at this line.
# Why        The text after the labels is split at blanks; the first piece is the value and the last one the
#            time, whatever stands between.
# So what    Who forwards or stores what this parser returns writes samples of 1970, which a store drops or
#            files under the wrong time, for just those buckets that had an exemplar.
#
# Guess      written before the first run: "raises ValueError", as it does for a value that is no number.
# Seen       the lines of "expected" below.
#
# Wants go and python3 with venv. Nothing is reached but the registries of packages.
set -euo pipefail

tmp="$(mktemp -d)"
trap 'chmod -R u+w "$tmp"; rm -rf "$tmp"' EXIT
cd "$tmp"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check prometheus-client==0.26.0
cat > read.py <<'EOF'
from prometheus_client import openmetrics, parser
import prometheus_client.openmetrics.parser

PLAIN = 'h_bucket{le="1"} 5 # {trace_id="x"} 0.5\n'
TIMED = 'h_bucket{le="1"} 5 1700000000000 # {trace_id="x"} 0.5\n'


def show(name, families):
    for family in families:
        for s in family.samples:
            print(name, s.name, s.value, s.timestamp, s.exemplar and s.exemplar.value)


show("text", parser.text_string_to_metric_families("# TYPE h histogram\n" + PLAIN))
show("text, timed", parser.text_string_to_metric_families("# TYPE h histogram\n" + TIMED))
whole = "# TYPE h histogram\n" + PLAIN + 'h_bucket{le="+Inf"} 5\n# EOF\n'
show("openmetrics", openmetrics.parser.text_string_to_metric_families(whole))
EOF
venv/bin/python read.py > seen

cat > go.mod <<'EOF'
module reads

go 1.25
EOF
cat > main.go <<'EOF'
package main

import (
	"fmt"
	"strings"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

func main() {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	_, err := parser.TextToMetricFamilies(strings.NewReader("# TYPE h histogram\nh_bucket{le=\"1\"} 5 # {trace_id=\"x\"} 0.5\n"))
	fmt.Println("go:", err)
}
EOF
go get github.com/prometheus/common@v0.70.0 >/dev/null 2>&1
go mod tidy >/dev/null 2>&1
go run . >> seen

cat > expected <<'EOF'
text h_bucket 5 0.0005 None
text, timed h_bucket 5 0.0005 None
openmetrics h_bucket 5 None 0.5
openmetrics h_bucket 5 None None
go: text format parsing error in line 2: expected integer as timestamp, got "#"
EOF
diff expected seen
echo "as expected"
