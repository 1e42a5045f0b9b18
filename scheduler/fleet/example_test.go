package fleet_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"

	"nines/internal/secret"
	"nines/regions"
	"nines/scheduler/fleet"
)

// ledger takes every result.
type ledger struct{}

func (ledger) Ingest(_ context.Context, prober, region string, b regions.Batch) (ack regions.Ack, err error) {
	for _, e := range b.Entries {
		ack.Seqs = append(ack.Seqs, e.Seq)
	}
	return ack, nil
}

// What a prober hears when it connects.
func Example() {
	f := fleet.New(fleet.Config{Ingester: ledger{}})
	f.Update([]fleet.Member{{Prober: "fra-1", Region: "eu-west", Token: secret.New("xyzzy")}}, nil)
	server := httptest.NewServer(f.Handler())
	defer server.Close()
	defer f.Close()

	req, err := http.NewRequest(http.MethodGet, server.URL+regions.StreamPath, nil)
	if err != nil {
		panic(err)
	}
	req.Header.Set("Authorization", "Bearer xyzzy")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	line, err := bufio.NewReader(resp.Body).ReadBytes('\n')
	if err != nil {
		panic(err)
	}
	var m regions.Message
	if err := json.Unmarshal(line, &m); err != nil {
		panic(err)
	}
	fmt.Println(m.Assignment.Prober, "probes for", m.Assignment.Region)
	// Output: fra-1 probes for eu-west
}
