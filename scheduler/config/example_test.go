package config_test

import (
	"fmt"
	"os"
	"path/filepath"

	"nines/scheduler/config"
)

func ExampleLoad() {
	dir, err := os.MkdirTemp("", "nines")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "nines.yaml")
	os.WriteFile(path, []byte(`
regions: [{name: here}]
checks:
  - name: shop
    kind: http
    evry: 30s
    url: https://shop.example.com/
    regions: [there]
`), 0o600)

	_, err = config.Load(path, os.LookupEnv)
	if faults, ok := err.(config.Faults); ok {
		for _, f := range faults {
			fmt.Printf("%d:%d: %s: %s\n", f.Line, f.Column, f.Path, f.Message)
		}
	}
	// Output:
	// 6:5: checks[0].evry: unknown key; did you mean every?
	// 8:15: checks[0].regions[0]: no region is called "there"; did you mean here?
}
