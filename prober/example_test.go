package prober_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"net/netip"
	"os"
	"time"

	"nines/checks"
	"nines/internal/secret"
	"nines/prober"
	"nines/regions"
	"nines/scheduler/fleet"
)

// ledger takes every result.
type ledger struct{}

func (ledger) Ingest(_ context.Context, name, region string, b regions.Batch) (ack regions.Ack, err error) {
	for _, e := range b.Entries {
		ack.Seqs = append(ack.Seqs, e.Seq)
	}
	return ack, nil
}

// A prober and a scheduler's side of it, in one process.
func ExampleNew() {
	f := fleet.New(fleet.Config{Ingester: ledger{}})
	token := secret.New("correct horse battery staple")
	f.Update([]fleet.Member{{Prober: "fra-1", Region: "eu-west", Token: token}}, nil)
	server := httptest.NewServer(f.Handler())
	defer server.Close()
	defer f.Close()

	dir, err := os.MkdirTemp("", "prober")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	p, err := prober.New(prober.Config{
		Scheduler: server.URL, Name: "fra-1", Token: token, DataDir: dir,
		Env: checks.Env{Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}},
	})
	if err != nil {
		panic(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- p.Run(ctx) }()
	for p.Stats().Region == "" {
		time.Sleep(10 * time.Millisecond) // the scheduler says where we are
	}
	fmt.Println("probing from", p.Stats().Region)
	stop()
	fmt.Println(<-ended)
	// Output:
	// probing from eu-west
	// <nil>
}
