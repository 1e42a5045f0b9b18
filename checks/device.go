package checks

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// Device is what a request, or a browser, makes itself out to be. In a
// configuration it is one of the known names, or its figures. The zero Device
// is nines itself.
type Device struct {
	Name      string  `json:"-"` // empty when the figures were given
	UserAgent string  `json:"user_agent" doc:"The User-Agent header." example:"Mozilla/5.0 (X11; Linux x86_64) Kiosk/1.0"`
	Width     int     `json:"width" doc:"The viewport's width in CSS pixels, 1 to 10000." example:"412"`
	Height    int     `json:"height" doc:"The viewport's height in CSS pixels, 1 to 10000." example:"823"`
	DPR       float64 `json:"dpr" doc:"Device pixels a CSS pixel, up to 10; default 1." example:"1.75"`
	Mobile    bool    `json:"mobile" doc:"Whether pages are laid out as on a phone; default false."`
	Touch     bool    `json:"touch" doc:"Whether there is a touch screen; default false."`
}

// devices are the known ones.
//
// Sources: phone (Moto G Power) and desktop are Lighthouse's emulation
// (GoogleChrome/lighthouse, core/config/constants.js:
// MOTOGPOWER_EMULATION_METRICS, DESKTOP_EMULATION_METRICS and their user
// agents); tablet is Chrome DevTools' iPad Mini.
var devices = map[string]Device{
	"phone": {
		"phone", "Mozilla/5.0 (Linux; Android 11; moto g power (2022)) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/119.0.0.0 Mobile Safari/537.36",
		412, 823, 1.75, true, true,
	},
	"tablet": {
		"tablet", "Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.6 Mobile/15E148 Safari/604.1",
		768, 1024, 2, true, true,
	},
	"desktop": {
		"desktop", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/119.0.0.0 Safari/537.36",
		1350, 940, 1, false, false,
	},
}

// DeviceNames returns the names of the known devices in alphabetical order.
func DeviceNames() []string { return slices.Sorted(maps.Keys(devices)) }

// UnmarshalText reads a known name.
func (d *Device) UnmarshalText(text []byte) error {
	known, ok := devices[strings.ToLower(string(text))]
	if !ok {
		return fmt.Errorf("%q is not a device; write one of %s, or {user_agent: Kiosk/1.0, width: 800, height: 600}",
			clip(string(text), 40), strings.Join(DeviceNames(), ", "))
	}
	*d = known
	return nil
}

// wireDevice is a Device as it travels, like wireProfile.
type wireDevice struct {
	Name      string  `json:"name,omitempty"`
	UserAgent string  `json:"user_agent"`
	Width     int     `json:"width"`
	Height    int     `json:"height"`
	DPR       float64 `json:"dpr"`
	Mobile    bool    `json:"mobile"`
	Touch     bool    `json:"touch"`
}

// MarshalJSON writes the figures and, if there is one, the name.
func (d Device) MarshalJSON() ([]byte, error) { return json.Marshal(wireDevice(d)) }

// UnmarshalJSON reads what MarshalJSON writes, or a known name.
func (d *Device) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		var name string
		if err := json.Unmarshal(data, &name); err != nil {
			return err
		}
		return d.UnmarshalText([]byte(name))
	}
	var w wireDevice
	if err := json.Unmarshal(data, &w); err != nil {
		return err
	}
	*d = Device(w)
	return nil
}

func (d Device) set() bool { return d != Device{} }

// pixels returns DPR, of which zero means 1.
func (d Device) pixels() float64 {
	if d.DPR == 0 {
		return 1
	}
	return d.DPR
}

// faults says what is wrong with d.
func (d Device) faults() []Fault {
	if !d.set() {
		return nil
	}
	var faults []Fault
	add := func(key, format string, args ...any) {
		faults = append(faults, Fault{"device." + key, fmt.Sprintf(format, args...)})
	}
	if d.UserAgent == "" || len(d.UserAgent) > 500 || !httpguts.ValidHeaderFieldValue(d.UserAgent) {
		add("user_agent", "is empty, longer than 500 bytes or no header's value; write what the device sends")
	}
	if d.Width < 1 || d.Width > 10_000 {
		add("width", "is %d; write a number of CSS pixels from 1 to 10000", d.Width)
	}
	if d.Height < 1 || d.Height > 10_000 {
		add("height", "is %d; write a number of CSS pixels from 1 to 10000", d.Height)
	}
	if !(0 <= d.DPR && d.DPR <= 10) {
		add("dpr", "is %v; write a number up to 10", d.DPR)
	}
	if len(d.Name) > 40 {
		faults = append(faults, Fault{"device", "has a name that is too long"})
	}
	return faults
}

// headers returns what a browser on the device sends with its first request.
// Client hints are Chromium's alone; DPR, Viewport-Width and Width are their
// older names, which servers still ask for.
func (d Device) headers() map[string]string {
	headers := map[string]string{
		"User-Agent":                d.UserAgent,
		"Accept":                    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
		"Accept-Language":           "en-US,en;q=0.9",
		"Upgrade-Insecure-Requests": "1",
	}
	if !strings.Contains(d.UserAgent, "Chrome/") {
		return headers
	}
	width, height := strconv.Itoa(d.Width), strconv.Itoa(d.Height)
	dpr := strconv.FormatFloat(d.pixels(), 'f', -1, 64)
	mobile := "?0"
	if d.Mobile {
		mobile = "?1"
	}
	maps.Copy(headers, map[string]string{
		"Sec-CH-UA-Mobile":       mobile,
		"Sec-CH-DPR":             dpr,
		"Sec-CH-Viewport-Width":  width,
		"Sec-CH-Viewport-Height": height,
		"DPR":                    dpr,
		"Viewport-Width":         width,
	})
	return headers
}

// headersIfSet returns headers, or none for the zero Device.
func (d Device) headersIfSet() map[string]string {
	if !d.set() {
		return map[string]string{}
	}
	return d.headers()
}
