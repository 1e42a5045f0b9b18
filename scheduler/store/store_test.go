package store

import (
	"context"
	"database/sql"
	"errors"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"nines/checks"
	"nines/internal/civil"
)

// opened returns a new store that the test's end closes.
func opened(t testing.TB) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "nines.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// update runs f in a transaction that must succeed.
func update(t testing.TB, s *Store, f func(ctx context.Context, tx *Tx) error) {
	t.Helper()
	ctx := context.Background()
	if err := s.Update(ctx, func(tx *Tx) error { return f(ctx, tx) }); err != nil {
		t.Fatal(err)
	}
}

func appendAll(t testing.TB, s *Store, results ...checks.Result) {
	t.Helper()
	update(t, s, func(ctx context.Context, tx *Tx) error { return tx.Append(ctx, results) })
}

// all collects what an iterator yields.
func all[T any](t testing.TB, seq iter.Seq2[T, error]) []T {
	t.Helper()
	var list []T
	for v, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, v)
	}
	return list
}

// ever is all time.
var ever = struct{ from, to time.Time }{time.UnixMilli(0), time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)}

// plain returns a result with little in it.
func plainResult(check, region string, at time.Time, status checks.Status) checks.Result {
	r := checks.Result{Check: check, Region: region, Prober: region + "-1", Slot: at, At: at, TookMS: 12.5, Status: status}
	if status == checks.Down {
		r.Reason, r.Detail = checks.ConnectTimeout, "no answer"
	}
	r.Normalize()
	return r
}

func TestResultsComeBackInOrder(t *testing.T) {
	s := opened(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	var shop []checks.Result
	for n := range 300 {
		for _, region := range []string{"eu-west", "us-east"} {
			shop = append(shop, typical(rnd, "shop", region, n, 37*time.Second))
		}
	}
	mixed := slices.Clone(shop)
	for n := range 50 {
		mixed = append(mixed, typical(rnd, "ns", "eu-west", n, time.Minute))
	}
	rnd.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
	slices.SortFunc(shop, func(a, b checks.Result) int { return cmpResults(&a, &b) })
	for chunk := range slices.Chunk(mixed, 97) {
		appendAll(t, s, chunk...)
	}
	ctx := context.Background()
	for _, stage := range []string{"live", "compacted", "compacted again"} {
		t.Run(stage, func(t *testing.T) {
			if diff := cmp.Diff(shop, all(t, s.Results(ctx, "shop", ever.from, ever.to))); diff != "" {
				t.Fatal(diff)
			}
			from, to := start.Add(20*time.Minute), start.Add(95*time.Minute)
			var within []checks.Result
			for _, r := range shop {
				if !r.At.Before(from) && r.At.Before(to) {
					within = append(within, r)
				}
			}
			if diff := cmp.Diff(within, all(t, s.Results(ctx, "shop", from, to))); diff != "" {
				t.Fatal(diff)
			}
			outlines := slices.Clone(shop)
			for i, r := range outlines {
				outlines[i] = checks.Result{Check: r.Check, Region: r.Region, Prober: r.Prober, Slot: r.Slot, At: r.At, Status: r.Status, Reason: r.Reason}
				outlines[i].Normalize()
			}
			if diff := cmp.Diff(outlines, all(t, s.Outlines(ctx, "shop", ever.from, ever.to))); diff != "" {
				t.Error(diff)
			}
			if got := all(t, s.Results(ctx, "nobody", ever.from, ever.to)); len(got) != 0 {
				t.Errorf("a check without results has %d", len(got))
			}
		})
		if err := s.Compact(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

func cmpResults(a, b *checks.Result) int {
	if c := a.At.Compare(b.At); c != 0 {
		return c
	}
	if c := strings.Compare(a.Prober, b.Prober); c != 0 {
		return c
	}
	return a.Slot.Compare(b.Slot)
}

// TestCompactionLosesNothing: late results join the block that is there, and a
// compaction that is cut short between its transactions shows nothing twice.
func TestCompactionLosesNothing(t *testing.T) {
	s := opened(t)
	ctx := context.Background()
	first, late := plainResult("shop", "eu", start, checks.Up), plainResult("shop", "eu", start.Add(30*time.Minute), checks.Down)
	appendAll(t, s, first)
	if err := s.Compact(ctx); err != nil {
		t.Fatal(err)
	}
	appendAll(t, s, late)
	want := []checks.Result{first, late}
	// What a kill after the blocks and before the deletion leaves.
	update(t, s, func(ctx context.Context, tx *Tx) error {
		rows, err := tx.rows(ctx, []checks.Result{late})
		if err != nil {
			return err
		}
		return tx.merge(ctx, series{rows[0].check, hourOf(rows[0].at), rows[0].region}, rows)
	})
	for range 2 {
		if diff := cmp.Diff(want, all(t, s.Results(ctx, "shop", ever.from, ever.to))); diff != "" {
			t.Fatal(diff)
		}
		if err := s.Compact(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if n, _, err := s.Live(ctx); n != 0 || err != nil {
		t.Errorf("after a compaction %d results are live, %v", n, err)
	}
}

func TestLatest(t *testing.T) {
	s := opened(t)
	ctx := context.Background()
	old := plainResult("shop", "us", start.Add(-time.Hour), checks.Down)
	before, latest := plainResult("shop", "eu", start, checks.Down), plainResult("shop", "eu", start.Add(time.Minute), checks.Up)
	second := plainResult("shop", "eu", start.Add(time.Second), checks.Degraded)
	second.Prober = "eu-2"
	appendAll(t, s, latest, old, plainResult("shop", "eu", start.Add(2*time.Minute), checks.Up))
	if err := s.Compact(ctx); err != nil {
		t.Fatal(err)
	}
	appendAll(t, s, before, second)
	got, err := s.Latest(ctx, start.Add(-time.Minute), start.Add(2*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(got, func(a, b checks.Result) int { return cmpResults(&a, &b) })
	if diff := cmp.Diff([]checks.Result{second, latest}, got); diff != "" {
		t.Error(diff)
	}
}

func TestPrune(t *testing.T) {
	s := opened(t)
	ctx := context.Background()
	var kept []checks.Result
	for n := range 48 {
		r := plainResult("shop", "eu", start.Add(time.Duration(n)*time.Hour), checks.Up)
		appendAll(t, s, r)
		if n >= 24 {
			kept = append(kept, r)
		}
	}
	if err := s.Compact(ctx); err != nil {
		t.Fatal(err)
	}
	n, err := s.Prune(ctx, start.Add(30*time.Hour))
	if n != 4 || err != nil {
		t.Errorf("%d blocks were deleted, %v; want the 4 of the first day", n, err)
	}
	if diff := cmp.Diff(kept, all(t, s.Results(ctx, "shop", ever.from, ever.to))); diff != "" {
		t.Error(diff)
	}
}

// TestReceive: whatever numbers come in whatever order, each is new once.
func TestReceive(t *testing.T) {
	s := opened(t)
	rapid.Check(t, func(t *rapid.T) {
		prober := rapid.StringMatching("[a-z]{20}").Draw(t, "prober")
		batches := rapid.SliceOfN(rapid.SliceOfN(rapid.Int64Range(0, 40), 0, 12), 1, 8).Draw(t, "batches")
		taken := map[int64]bool{}
		for _, batch := range batches {
			var fresh []bool
			err := s.Update(context.Background(), func(tx *Tx) (err error) {
				fresh, err = tx.Receive(context.Background(), prober, "spool", batch)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			for i, n := range batch {
				if fresh[i] == taken[n] {
					t.Fatalf("number %d is new: %v, taken before: %v", n, fresh[i], taken[n])
				}
				taken[n] = true
			}
		}
		var ranges []seqs
		err := s.read(context.Background(), func(tx *sql.Tx) (err error) {
			ranges, err = received(context.Background(), tx, prober, "spool")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for i := 1; i < len(ranges); i++ {
			if ranges[i].from <= ranges[i-1].to+1 {
				t.Fatalf("ranges touch: %v", ranges)
			}
		}
	})
}

func TestSpoolsAreApart(t *testing.T) {
	s := opened(t)
	for _, of := range [][2]string{{"a", "x"}, {"a", "y"}, {"b", "x"}} {
		update(t, s, func(ctx context.Context, tx *Tx) error {
			fresh, err := tx.Receive(ctx, of[0], of[1], []int64{1})
			if err == nil && !fresh[0] {
				t.Errorf("%v: number 1 counts as taken", of)
			}
			return err
		})
	}
}

// records yields a list as a file would.
func records(list []checks.Record) iter.Seq2[checks.Record, error] {
	return func(yield func(checks.Record, error) bool) {
		for _, r := range list {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func TestExportAndImport(t *testing.T) {
	a, b := opened(t), opened(t)
	ctx := context.Background()
	rnd := rand.New(rand.NewPCG(3, 4))
	for n := range 200 {
		appendAll(t, a, typical(rnd, "shop", "eu", n, time.Minute), typical(rnd, "ns", "us", n, time.Minute))
		if n == 100 {
			if err := a.Compact(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	q := checks.Quarantine{Prober: "eu-1", From: start, To: start.Add(time.Hour), Why: "sees everything down"}
	update(t, a, func(ctx context.Context, tx *Tx) error { return tx.PutQuarantine(ctx, q) })

	exported := all(t, a.Export(ctx, ever.from, ever.to))
	if len(exported) != 401 {
		t.Fatalf("%d records were exported, want 401", len(exported))
	}
	shuffled := slices.Clone(exported)
	rnd.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	half := shuffled[:200]
	for _, step := range []struct {
		list         []checks.Record
		added, known int
	}{{half, 200, 0}, {shuffled, 201, 200}, {exported, 0, 401}} {
		added, known, err := b.Import(ctx, records(step.list))
		if err != nil || added != step.added || known != step.known {
			t.Fatalf("import added %d and knew %d, %v; want %d and %d", added, known, err, step.added, step.known)
		}
		if err := b.Compact(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(exported, all(t, b.Export(ctx, ever.from, ever.to))); diff != "" {
		t.Error(diff)
	}
	// The same key with another At is the same result: the first stays.
	moved := *exported[1].Result
	moved.At = moved.At.Add(3 * time.Hour)
	if added, _, err := b.Import(ctx, records([]checks.Record{{Result: &moved}})); added != 0 || err != nil {
		t.Errorf("a known key with another time was added %d times, %v", added, err)
	}
}

func TestImportKeepsWhatCameBeforeAFault(t *testing.T) {
	s := opened(t)
	r := plainResult("shop", "eu", start, checks.Up)
	fault := errors.New("line 2 is no result")
	added, _, err := s.Import(context.Background(), func(yield func(checks.Record, error) bool) {
		_ = yield(checks.Record{Result: &r}, nil) && yield(checks.Record{}, fault)
	})
	if added != 1 || !errors.Is(err, fault) {
		t.Errorf("added %d, %v", added, err)
	}
}

func TestBackup(t *testing.T) {
	s := opened(t)
	r := plainResult("shop", "eu", start, checks.Up)
	appendAll(t, s, r)
	path := filepath.Join(t.TempDir(), "copy's.db")
	ctx := context.Background()
	if err := s.Backup(ctx, path); err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(ctx, path); !errors.Is(err, os.ErrExist) {
		t.Errorf("a second backup into the same file: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup's mode is %v, %v", info.Mode(), err)
	}
	back, err := OpenExisting(path)
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close()
	if diff := cmp.Diff([]checks.Result{r}, all(t, back.Results(ctx, "shop", ever.from, ever.to))); diff != "" {
		t.Error(diff)
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "new folder", "nines.db")
	if _, err := OpenExisting(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("OpenExisting of nothing: %v", err)
	}
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct{ pragma, value string }{
		{"journal_mode", "wal"}, {"synchronous", "2"}, {"foreign_keys", "1"}, {"busy_timeout", "10000"},
	} {
		var got string
		if err := s.w.QueryRow("PRAGMA " + want.pragma).Scan(&got); err != nil || got != want.value {
			t.Errorf("%s is %s, %v; want %s", want.pragma, got, err, want.value)
		}
	}
	if _, err := s.r.Exec("DELETE FROM meta"); err == nil {
		t.Error("a reader can write")
	}
	if _, err := s.w.Exec("PRAGMA user_version = 1000"); err != nil {
		t.Fatal(err)
	}
	s.Close()
	for _, open := range []func(string) (*Store, error){Open, OpenExisting} {
		if _, err := open(path); !errors.Is(err, ErrNewer) {
			t.Errorf("opening a newer store: %v", err)
		}
	}
	text := filepath.Join(dir, "not a store")
	os.WriteFile(text, []byte(strings.Repeat("this is no database ", 100)), 0o600)
	if s, err := Open(text); err == nil {
		s.Close()
		t.Error("a text file was opened as a store")
	}
}

// TestMigration: a store of the first version becomes one of this version with
// what it held, and a copy of the old one is left beside it.
func TestMigration(t *testing.T) {
	path := filepath.Join(t.TempDir(), "nines.db")
	db, err := connect(path, 1, false)
	if err != nil {
		t.Fatal(err)
	}
	list, err := migrations()
	if err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{list[0], "INSERT INTO meta (key, value) VALUES ('old', x'00')", "PRAGMA user_version = 1"} {
		if _, err := db.Exec(query); err != nil {
			t.Fatal(err)
		}
	}
	db.Close()
	if _, err := OpenExisting(path); err == nil || !strings.Contains(err.Error(), "start the scheduler once") {
		t.Errorf("OpenExisting of an old store: %v", err)
	}
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	update(t, s, func(ctx context.Context, tx *Tx) error {
		_, err := tx.meta(ctx, "old")
		return err
	})
	copies, _ := filepath.Glob(path + ".before-*")
	if len(copies) != 1 {
		t.Errorf("the old store was kept as %v", copies)
	}
}

func TestKey(t *testing.T) {
	s := opened(t)
	ctx := context.Background()
	a, err := s.Key(ctx, "links")
	if err != nil || len(a) != 32 {
		t.Fatalf("%d bytes, %v", len(a), err)
	}
	again, _ := s.Key(ctx, "links")
	other, _ := s.Key(ctx, "calendars")
	if !slices.Equal(a, again) || slices.Equal(a, other) {
		t.Error("a key changed, or two are the same")
	}
}

// TestUpdateRollsBack: a transaction that fails leaves nothing, in the cache
// of names neither.
func TestUpdateRollsBack(t *testing.T) {
	s := opened(t)
	fault := errors.New("a fault")
	r := plainResult("shop", "eu", start, checks.Up)
	ctx := context.Background()
	err := s.Update(ctx, func(tx *Tx) error {
		if _, err := tx.Receive(ctx, "eu-1", "x", []int64{1}); err != nil {
			return err
		}
		if err := tx.Append(ctx, []checks.Result{r}); err != nil {
			return err
		}
		return fault
	})
	if !errors.Is(err, fault) {
		t.Fatal(err)
	}
	if got := all(t, s.Export(ctx, ever.from, ever.to)); len(got) != 0 {
		t.Errorf("%d records are left", len(got))
	}
	// Its names may have other numbers now.
	appendAll(t, s, plainResult("other", "us", start, checks.Up), r)
	if diff := cmp.Diff([]checks.Result{r}, all(t, s.Results(ctx, "shop", ever.from, ever.to))); diff != "" {
		t.Error(diff)
	}
}

func TestDays(t *testing.T) {
	s := opened(t)
	ctx := context.Background()
	day := func(n int) civil.Date { return civil.DateOf(start).AddDays(n) }
	firstIs := func(want map[string]civil.Date) {
		t.Helper()
		got, err := s.FirstDays(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	firstIs(map[string]civil.Date{})
	appendAll(t, s, plainResult("shop", "eu", start.AddDate(0, 0, 2), checks.Up))
	firstIs(map[string]civil.Date{"shop": day(2)})
	if err := s.Compact(ctx); err != nil {
		t.Fatal(err)
	}
	firstIs(map[string]civil.Date{"shop": day(2)})
	update(t, s, func(ctx context.Context, tx *Tx) error {
		for n := range 5 {
			if err := tx.PutDay(ctx, "shop", day(n), []byte{byte(n)}); err != nil {
				return err
			}
		}
		return tx.PutDay(ctx, "ns", day(1), []byte{9})
	})
	firstIs(map[string]civil.Date{"shop": day(0), "ns": day(1)})
	late := plainResult("shop", "eu", start.AddDate(0, 0, 1).Add(time.Hour), checks.Down)
	if _, _, err := s.Import(ctx, records([]checks.Record{{Result: &late}})); err != nil {
		t.Fatal(err)
	}
	days, err := s.Days(ctx, "shop", start, start.AddDate(0, 0, 4))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[civil.Date][]byte{day(0): {0}, day(3): {3}}, days); diff != "" {
		t.Error(diff)
	}
	touched, err := s.Touched(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Touched{{"shop", day(1)}, {"shop", day(2)}}, touched); diff != "" {
		t.Error(diff)
	}
	update(t, s, func(ctx context.Context, tx *Tx) error { return tx.Untouch(ctx, touched[:1]) })
	if left, _ := s.Touched(ctx); len(left) != 1 {
		t.Errorf("left: %v", left)
	}
	// What a day came to stays once its results are deleted, whatever comes.
	if _, err := s.Prune(ctx, start.AddDate(0, 0, 1)); err != nil {
		t.Fatal(err)
	}
	part := plainResult("shop", "eu", start.Add(time.Hour), checks.Down)
	if _, _, err := s.Import(ctx, records([]checks.Record{{Result: &part}})); err != nil {
		t.Fatal(err)
	}
	if days, _ := s.Days(ctx, "shop", start, start.AddDate(0, 0, 1)); len(days) != 1 {
		t.Error("a day whose results are gone was forgotten")
	}
}

func TestReports(t *testing.T) {
	s := opened(t)
	ctx := context.Background()
	month := civil.Month{Year: 2026, Month: 10}
	if _, err := s.Report(ctx, "gold", month, "json"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a report that is not there: %v", err)
	}
	first := Report{SLA: "gold", Month: month, Revision: 1, Format: "json", Made: start, ResultsSHA256: "a", Body: []byte("{}")}
	second := first
	second.Revision, second.ResultsSHA256 = 2, "b"
	update(t, s, func(ctx context.Context, tx *Tx) error {
		return errors.Join(tx.PutReport(ctx, first), tx.PutReport(ctx, second))
	})
	got, err := s.Report(ctx, "gold", month, "json")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(second, got); diff != "" {
		t.Error(diff)
	}
	if err := s.Update(ctx, func(tx *Tx) error { return tx.PutReport(ctx, first) }); err == nil {
		t.Error("a revision was replaced")
	}
}
