package prober

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"nines/checks"
	"nines/checks/throttle"
	"nines/regions"
)

// shaper is a measurement that reaches a part of what it is asked for.
func shaper(part float64) func(context.Context, float64, time.Duration, time.Duration) (throttle.Measured, error) {
	return func(_ context.Context, kbps float64, rtt, _ time.Duration) (throttle.Measured, error) {
		return throttle.Measured{AskedKbps: kbps, Kbps: part * kbps, AskedRTT: rtt, RTT: rtt}, nil
	}
}

func newForCalibration(t *testing.T) *Prober {
	t.Helper()
	p, err := New(Config{Scheduler: "http://127.0.0.1:1", DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.spool.close() })
	return p
}

func bandwidthStatus(t *testing.T, p *Prober, kbps float64) checks.Result {
	t.Helper()
	kind, _ := checks.KindOf("bandwidth")
	options := kind.New()
	if err := json.Unmarshal([]byte(`{"url": "http://127.0.0.1:1/", "profile": {"down_kbps": 1, "up_kbps": 1, "rtt_ms": 0}}`), options); err != nil {
		t.Fatal(err)
	}
	options.(*checks.Bandwidth).Profile.DownKbps = kbps
	spec := checks.Spec{Name: "x", Kind: "bandwidth", Every: time.Second, Timeout: time.Second, Options: options}
	return spec.Run(t.Context(), &p.config.Env, time.Now())
}

// A machine that cannot shape at a rate says so to its checks and to the
// scheduler, and only of that rate and above.
func TestCalibrationLimits(t *testing.T) {
	p := newForCalibration(t)
	p.measure = func(ctx context.Context, kbps float64, rtt, long time.Duration) (throttle.Measured, error) {
		if kbps >= 50_000 {
			return shaper(0.6)(ctx, kbps, rtt, long)
		}
		return shaper(1)(ctx, kbps, rtt, long)
	}
	p.measureShaper(t.Context())
	if r := bandwidthStatus(t, p, 40_000); r.Status != checks.Unknown || r.Reason != checks.ProberBandwidth {
		t.Errorf("%s %s (%s)", r.Status, r.Reason, r.Detail)
	}
	if r := bandwidthStatus(t, p, 20_000); r.Reason != checks.ProberBlocked {
		t.Errorf("%s %s (%s)", r.Status, r.Reason, r.Detail)
	}
	now := time.Now()
	told := p.calibration.tell(now)
	if len(told) != len(rungs) || told[2] != (regions.Shaped{AskedKbps: 50_000, Kbps: 30_000, AskedRTTMS: 40, RTTMS: 40}) {
		t.Errorf("the scheduler is told %+v", told)
	}
	p.calibration.told = time.Time{}
	packed, err := p.shipper.pack(nil)
	if err != nil {
		t.Fatal(err)
	}
	unpacked, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	var batch regions.Batch
	if err := json.NewDecoder(unpacked).Decode(&batch); err != nil || !slices.Equal(batch.Shaper, told) {
		t.Errorf("a batch tells %+v: %v", batch.Shaper, err)
	}
	if again := p.calibration.tell(now.Add(tellEvery / 2)); again != nil {
		t.Errorf("and again %+v", again)
	}
	if again := p.calibration.tell(now.Add(2 * tellEvery)); len(again) != len(rungs) {
		t.Errorf("and later %+v", again)
	}
	// Once the machine is well again, so are its checks.
	p.measure = shaper(0.99)
	p.measureShaper(t.Context())
	if r := bandwidthStatus(t, p, 200_000); r.Reason != checks.ProberBlocked {
		t.Errorf("%s %s (%s)", r.Status, r.Reason, r.Detail)
	}
}

// A rate that is missed by chance is measured again.
func TestCalibrationTriesAgain(t *testing.T) {
	p := newForCalibration(t)
	calls := 0
	p.measure = func(ctx context.Context, kbps float64, rtt, long time.Duration) (throttle.Measured, error) {
		calls++
		return shaper(map[bool]float64{true: 0.5, false: 1}[calls%3 != 0])(ctx, kbps, rtt, long)
	}
	if m, err := p.measureRung(t.Context(), 1600); err != nil || m.Kbps != 1600 || calls != 3 {
		t.Errorf("%+v after %d tries: %v", m, calls, err)
	}
}

// The real thing, on loopback.
func TestMeasureOfTheRealShaper(t *testing.T) {
	p := newForCalibration(t)
	m, err := p.measureRung(t.Context(), 1600)
	if err != nil || m.Kbps < 1000 || m.Kbps > 1600*1.05 || m.RTT < 39*time.Millisecond {
		t.Errorf("%+v: %v", m, err)
	}
}
