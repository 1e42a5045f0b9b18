package fleet

import (
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"nines/internal/secret"
	"nines/scheduler/config"
)

// While a token is replaced both are good, and nobody is disconnected until
// the one that it came with is not.
func TestTwoTokens(t *testing.T) {
	f, _, server := serve(t)
	before, after := secret.New("token of eu-1"), secret.New("token of the-next")
	f.Update([]Member{{Prober: "eu-1", Region: "eu", Token: before, Next: after}}, []config.Check{check(t, "shop", "eu")})
	old := connect(t, server.URL, "eu-1")
	if got := old.assignment(t); len(got) != 1 {
		t.Fatalf("with the first token came %+v", got)
	}

	// The same prober with its next token: the newer stream replaces the older.
	next, err := dial(t.Context(), http.DefaultClient, server.URL, "the-next")
	if err != nil {
		t.Fatal(err)
	}
	defer next.close()
	next.assignment(t)
	if status := f.Status(); len(status) != 1 || status[0].Prober != "eu-1" || !status[0].Connected {
		t.Errorf("the next token makes another prober: %+v", status)
	}

	// The first is dropped, and who came with the second stays.
	f.Update([]Member{{Prober: "eu-1", Region: "eu", Token: after}}, []config.Check{check(t, "shop", "eu"), check(t, "cart", "eu")})
	if got := next.assignment(t); len(got) != 2 {
		t.Errorf("after the first token was dropped came %+v", got)
	}
	if _, err := dial(t.Context(), http.DefaultClient, server.URL, "eu-1"); err == nil || err.Error() != "status 401" {
		t.Errorf("the first token still admits: %v", err)
	}

	// And the second, which ends its stream at once.
	revoked := time.Now()
	f.Update([]Member{{Prober: "eu-1", Region: "eu", Token: secret.New("a third")}}, nil)
	if m, err := next.next(); !errors.Is(err, io.EOF) {
		t.Errorf("after both were dropped came %+v, %v", m, err)
	}
	if took := time.Since(revoked); took > 5*time.Second {
		t.Errorf("that took %s", took)
	}
}

// A region whose prober for a check is not connected is asked through another
// of its probers, which gets the check along with the request.
func TestConfirmByAStandIn(t *testing.T) {
	f, _, server := serve(t)
	list := []config.Check{check(t, "shop", "eu", "us")}
	f.Update(members("eu-1", "eu-2", "us-1"), list)
	owner := f.owners[place{"shop", "eu"}].prober
	other := map[string]string{"eu-1": "eu-2", "eu-2": "eu-1"}[owner]
	// Present for a while longer, and not connected.
	gone := connect(t, server.URL, owner)
	gone.assignment(t)
	left := connect(t, server.URL, other)
	left.assignment(t)
	gone.close()
	deadline := time.Now().Add(10 * time.Second)
	for len(f.connectedIn("eu")) != 1 {
		if time.Now().After(deadline) {
			t.Fatal("the owner's stream did not end")
		}
		time.Sleep(5 * time.Millisecond)
	}
	asked := time.Now().UTC().Truncate(time.Millisecond)
	f.Confirm("shop", "us", asked)
	for {
		m, err := left.next()
		if err != nil {
			t.Fatal(err)
		}
		if m.Run == nil {
			continue
		}
		if m.Run.Check != "shop" || !m.Run.Slot.Equal(asked) || len(m.Run.Spec) == 0 {
			t.Errorf("the stand-in was asked for %+v", m.Run)
		}
		return
	}
}

func (f *Fleet) connectedIn(region string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.connected(region)
}
