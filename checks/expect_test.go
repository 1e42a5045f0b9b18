package checks

import "testing"

func jsonValue(t testing.TB, text string) JSONValue {
	t.Helper()
	var v JSONValue
	if err := v.UnmarshalJSON([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return v
}

func expression(t testing.TB, text string) Expression {
	t.Helper()
	var x Expression
	if err := x.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return x
}
