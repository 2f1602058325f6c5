package main

import "testing"

func TestSummarise_ComparesQuantilesAndPairs(t *testing.T) {
	r := summarise(samples{
		floor: {100, 300, 200}, balancer: {110, 330, 240}, sidecar: {115, 340, 242}, loading: {3000, 3100, 3200}, loadingSidecar: {3004, 3101, 3210},
	})
	if r.Floor.Median != 200 || r.Balancer.Median != 240 || r.Added.Median != 40 || r.Added.Max != 30 || r.Added.N != 3 {
		t.Errorf("quantile by quantile: %+v", r)
	}
	if r.Paired.Median != 30 || r.Paired.Max != 40 || r.Paired.N != 3 {
		t.Errorf("pair by pair: %+v", r.Paired)
	}
	if r.Sidecar.Median != 242 || r.SidecarAdded.Median != 2 || r.SidecarAdded.Max != 10 || r.SidecarPaired.Median != 5 {
		t.Errorf("with the sidecar: %+v, %+v, %+v", r.Sidecar, r.SidecarAdded, r.SidecarPaired)
	}
	if r.LoadingSidecarAdded.Median != 1 || r.LoadingSidecarAdded.Max != 10 || r.LoadingSidecarPaired.Median != 4 {
		t.Errorf("a model server with the sidecar: %+v, %+v, %+v", r.LoadingSidecar, r.LoadingSidecarAdded, r.LoadingSidecarPaired)
	}
}
