package app_test

import (
	"testing"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/wiretest"
)

func TestConformance_Lines(t *testing.T)    { runRequests(t, newBed(t, nil), wiretest.Lines()) }
func TestConformance_Fields(t *testing.T)   { runRequests(t, newBed(t, nil), wiretest.Fields()) }
func TestConformance_Lengths(t *testing.T)  { runRequests(t, newBed(t, nil), wiretest.Lengths()) }
func TestConformance_Codings(t *testing.T)  { runRequests(t, newBed(t, nil), wiretest.Codings()) }
func TestConformance_Chunks(t *testing.T)   { runRequests(t, newBed(t, nil), wiretest.Chunks()) }
func TestConformance_Trailers(t *testing.T) { runRequests(t, newBed(t, nil), wiretest.Trailers()) }
func TestConformance_Targets(t *testing.T)  { runRequests(t, newBed(t, nil), wiretest.Targets()) }
func TestConformance_Hosts(t *testing.T)    { runRequests(t, newBed(t, nil), wiretest.Hosts()) }
