package prober

import (
	"context"
	"math"
	"sync"
	"time"

	"nines/checks/throttle"
	"nines/regions"
)

const (
	// settle is how long after its start a prober measures its shaper: its
	// first slots come before.
	settle = 5 * time.Second
	// calibrateEvery is how often it does so again.
	calibrateEvery = 24 * time.Hour
	// calibrateLong and calibrateRTT are what one measurement asks for.
	calibrateLong = 250 * time.Millisecond
	calibrateRTT  = 40 * time.Millisecond
	// calibrateTries is how often a rate is measured that was not reached: a
	// machine may be busy for a moment.
	calibrateTries = 3
	// keptUp is the part of a rate from which a shaper is as exact as promised,
	// and fellBehind that below which it is too slow for the rate.
	keptUp, fellBehind = 0.97, 0.9
	// tellEvery is how often the scheduler is told of the latest calibration.
	tellEvery = time.Minute
)

// rungs are the rates that are measured, in kbit/s.
var rungs = [...]float64{1600, 9000, 50_000, 200_000}

// calibration is what the prober knows of its own shaper.
type calibration struct {
	mu     sync.Mutex // protects following
	latest []regions.Shaped
	told   time.Time // when the scheduler last was
}

// calibrate measures the shaper soon after the start and daily, until ctx ends,
// and removes artifacts that are too old.
func (p *Prober) calibrate(ctx context.Context) {
	timer := time.NewTimer(settle)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		p.measureShaper(ctx)
		p.artifacts.prune(time.Now())
		timer.Reset(calibrateEvery)
	}
}

// measureShaper climbs the rungs, and lets bandwidth checks know the first that
// is too high for this machine.
func (p *Prober) measureShaper(ctx context.Context) {
	var list []regions.Shaped
	limit := 0.0
	for _, kbps := range rungs {
		best, err := p.measureRung(ctx, kbps)
		if err != nil {
			if ctx.Err() == nil {
				p.log.Warn("shaper not measured", "err", err)
			}
			return
		}
		list = append(list, regions.Shaped{
			AskedKbps: kbps, Kbps: math.Round(best.Kbps*10) / 10,
			AskedRTTMS: millis(best.AskedRTT), RTTMS: millis(best.RTT),
		})
		if best.Kbps < fellBehind*kbps && limit == 0 {
			limit = best.Kbps
			p.log.Warn("this machine cannot shape at such a rate; bandwidth checks beyond it are unknown", "asked_kbps", kbps, "kbps", math.Round(best.Kbps))
		}
	}
	p.config.Env.Path.Calibrated(limit)
	p.calibration.mu.Lock()
	defer p.calibration.mu.Unlock()
	p.calibration.latest, p.calibration.told = list, time.Time{}
}

func millis(d time.Duration) float64 { return math.Round(float64(d)/1e4) / 100 }

// measureRung measures one rate, up to three times until it is reached.
func (p *Prober) measureRung(ctx context.Context, kbps float64) (best throttle.Measured, err error) {
	for range calibrateTries {
		m, err := p.measure(ctx, kbps, calibrateRTT, calibrateLong)
		if err != nil {
			return best, err
		}
		if m.Kbps > best.Kbps {
			best = m
		}
		if best.Kbps >= keptUp*kbps {
			break
		}
	}
	return best, nil
}

// tell returns the latest calibration when the scheduler is to be told of it
// again, else nil.
func (c *calibration) tell(now time.Time) []regions.Shaped {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.latest == nil || now.Sub(c.told) < tellEvery {
		return nil
	}
	c.told = now
	return c.latest
}
