package checks

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

func TestGather(t *testing.T) {
	broken := errors.New("broken")
	for _, tt := range []struct {
		name             string
		size             int
		announced, limit int64
		want             int
	}{
		{"nothing", 0, -1, 100, 0},
		{"less than the limit", 99, -1, 100, 99},
		{"the limit", 100, 100, 100, 100},
		{"one more", 101, -1, 100, 101},
		{"much more", 1 << 20, -1, 100, 101},
		{"grown", 100_000, -1, 1 << 20, 100_000},
		{"grown to the limit", 1 << 20, -1, 1 << 20, 1 << 20},
		{"more than announced", 50_000, 10, 1 << 20, 50_000},
		{"less than announced", 10, 1 << 40, 1000, 10},
	} {
		text := bytes.Repeat([]byte("abc"), tt.size/3+1)[:tt.size]
		for name, r := range map[string]io.Reader{
			"at once": bytes.NewReader(text), "by bytes": iotest.OneByteReader(bytes.NewReader(text)), "with its end": iotest.DataErrReader(bytes.NewReader(text)),
		} {
			want := text[:tt.want]
			if int64(tt.want) > tt.limit {
				want = nil
			}
			got, n, err := gather(r, tt.announced, tt.limit)
			if err != nil || n != int64(tt.want) || !bytes.Equal(got, want) {
				t.Errorf("%s, %s: %d bytes, %d returned (%v)", tt.name, name, n, len(got), err)
			}
		}
		got, n, err := gather(io.MultiReader(bytes.NewReader(text), iotest.ErrReader(broken)), tt.announced, 2<<20)
		if !errors.Is(err, broken) || len(got) != tt.size || n != int64(tt.size) {
			t.Errorf("%s, then broken: %d bytes (%v)", tt.name, len(got), err)
		}
	}
}
