package checks

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/types"
	"github.com/expr-lang/expr/vm"
	"github.com/expr-lang/expr/vm/runtime"
)

// Limits of expressions.
const (
	maxExpression = 2000     // bytes of one
	maxExprNodes  = 300      // parts of one, as the compiler counts them
	maxExprItems  = 100_000  // items of ranges and lists that one run makes
	maxExprBytes  = 32 << 20 // bytes of texts that one run makes
)

// Expression is a condition on an answer in the language of expr
// (https://expr-lang.org/docs/language-definition), over the names in
// expressionNames. The zero Expression holds.
type Expression struct {
	text    string
	program *vm.Program
	reads   map[string]bool // the names in it
}

// expressionNames are what an expression can ask about, and what it can call
// beside expressionBuiltins.
var expressionNames = types.Map{
	"status":         types.Int,
	"headers":        types.TypeOf(map[string]string{}),
	"body":           types.String,
	"json":           types.Any,
	"phases":         types.TypeOf(map[string]float64{}),
	"took_ms":        types.Float64,
	"http_version":   types.String,
	"bytes":          types.Int,
	"redirects":      types.Int,
	"remote_ip":      types.String,
	"cert_days_left": types.Float64,

	"lower": types.TypeOf(func(string) (string, error) { return "", nil }),
	"upper": types.TypeOf(func(string) (string, error) { return "", nil }),
	"split": types.TypeOf(func(string, string) ([]string, error) { return nil, nil }),
	"now":   types.TypeOf(func() time.Time { return time.Time{} }),

	tickName: types.TypeOf(func() (bool, error) { return false, nil }),
	joinName: types.TypeOf(func(any, any) (any, error) { return nil, nil }),
}

// The names under which exprVisitor calls them: no expression can.
const (
	tickName = "#tick"
	joinName = "#join"
)

// expressionBuiltins are those of expr's own functions whose cost is bounded by
// what they are given, and which make no copy of it.
var expressionBuiltins = []string{
	"all", "none", "any", "one", "filter", "map", "find", "findIndex", "findLast", "findLastIndex", "count", "sum",
	"len", "type", "abs", "ceil", "floor", "round", "int", "float", "min", "max", "mean", "median",
	"trim", "trimPrefix", "trimSuffix", "indexOf", "lastIndexOf", "hasPrefix", "hasSuffix",
	"first", "last", "get", "date", "duration",
}

// UnmarshalText compiles the expression. Names are not looked at yet, because
// a step knows more of them: see faults.
func (x *Expression) UnmarshalText(text []byte) error {
	compiled, err := compileExpression(string(text), nil, false)
	if err != nil {
		return err
	}
	*x = compiled
	return nil
}

// MarshalText writes the expression as it was read.
func (x Expression) MarshalText() ([]byte, error) { return []byte(x.text), nil }

func (x Expression) String() string { return x.text }

// faults says what is wrong with x where these names of captured texts are
// known beside expressionNames.
func (x Expression) faults(captured []string) error {
	_, err := compileExpression(x.text, captured, true)
	return err
}

// readsBody reports whether x asks about the content of the body.
func (x Expression) readsBody() bool { return x.reads["body"] || x.reads["json"] }

func compileExpression(text string, captured []string, strict bool) (Expression, error) {
	if len(text) > maxExpression {
		return Expression{}, fmt.Errorf("is an expression of %d bytes; at most %d are allowed", len(text), maxExpression)
	}
	names := maps.Clone(expressionNames)
	for _, name := range captured {
		names[name] = types.String
	}
	b := &exprVisitor{reads: map[string]bool{}}
	options := []expr.Option{
		expr.Env(names), expr.AsBool(), expr.MaxNodes(maxExprNodes), expr.Optimize(false), expr.DisableAllBuiltins(), expr.Patch(b),
	}
	for _, name := range expressionBuiltins {
		options = append(options, expr.EnableBuiltin(name))
	}
	if !strict {
		options = append(options, expr.AllowUndefinedVariables())
	}
	program, err := expr.Compile(text, options...)
	if err == nil {
		err = b.err
	}
	if err != nil {
		return Expression{}, fmt.Errorf("%q is not an expression: %s", clip(text, 100), exprFault(err))
	}
	return Expression{text, program, b.reads}, nil
}

// exprFault returns what expr says, on one line.
func exprFault(err error) string {
	if at, ok := errors.AsType[*file.Error](err); ok {
		return fmt.Sprintf("%s (at %d:%d)", clip(at.Message, 200), max(at.Line, 1), at.Column+1)
	}
	return clip(strings.ReplaceAll(err.Error(), "\n", " "), 200)
}

// exprVisitor rewrites an expression so that a run of it can be ended: every turn
// of a loop ticks, and texts are joined within a limit. It also notes the names
// in it and refuses what cannot be bounded.
type exprVisitor struct {
	reads map[string]bool
	err   error
}

// Visit implements ast.Visitor.
func (b *exprVisitor) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		b.reads[n.Value] = true
		if n.Value == "$env" {
			b.refuse(n, "$env is not known here")
		}
	case *ast.BuiltinNode:
		// Those that take a predicate cannot be left out of the language.
		if !slices.Contains(expressionBuiltins, n.Name) {
			b.refuse(n, "unknown name "+n.Name)
		}
	case *ast.PredicateNode:
		n.Node = &ast.SequenceNode{Nodes: []ast.Node{call(tickName), n.Node}}
	case *ast.BinaryNode:
		switch {
		case n.Operator == "matches":
			pattern, written := n.Right.(*ast.StringNode)
			if !written {
				b.refuse(n, "what matches is no pattern that is written out")
			} else if len(pattern.Value) > maxPattern {
				b.refuse(n, fmt.Sprintf("the pattern has more than %d bytes", maxPattern))
			}
		case n.Operator == "+" && !(isNumeric(n.Left) && isNumeric(n.Right)):
			*node = call(joinName, n.Left, n.Right)
		}
	}
}

func (b *exprVisitor) refuse(n ast.Node, why string) {
	if b.err == nil {
		b.err = fmt.Errorf("%s (at character %d)", why, n.Location().From+1)
	}
}

func call(name string, arguments ...ast.Node) ast.Node {
	return &ast.CallNode{Callee: &ast.IdentifierNode{Value: name}, Arguments: arguments}
}

func isNumeric(n ast.Node) bool {
	nature := n.Nature()
	return nature != nil && nature.IsNumber()
}

// exprRun bounds one run of an expression.
type exprRun struct {
	until time.Time // zero: no end
	bytes int       // of texts, made so far
}

var (
	errExprSlow  = errors.New("it did not end in the time that was left")
	errExprLarge = fmt.Errorf("it makes texts of more than %d bytes", maxExprBytes)
)

func (r *exprRun) tick() (bool, error) {
	if !r.until.IsZero() && time.Now().After(r.until) {
		return false, errExprSlow
	}
	return true, nil
}

func (r *exprRun) charge(bytes int) error {
	if r.bytes += bytes; r.bytes > maxExprBytes {
		return errExprLarge
	}
	return nil
}

func (r *exprRun) join(a, b any) (any, error) {
	left, ok1 := a.(string)
	right, ok2 := b.(string)
	if !ok1 || !ok2 {
		return runtime.Add(a, b), nil
	}
	if err := r.charge(len(left) + len(right)); err != nil {
		return nil, err
	}
	return left + right, nil
}

func (r *exprRun) lower(s string) (string, error) { return strings.ToLower(s), r.charge(len(s)) }
func (r *exprRun) upper(s string) (string, error) { return strings.ToUpper(s), r.charge(len(s)) }

func (r *exprRun) split(s, by string) ([]string, error) {
	const textSize = 16
	if err := r.charge(textSize * (strings.Count(s, by) + 1)); err != nil {
		return nil, err
	}
	return strings.Split(s, by), nil
}

// wrong runs x over an answer and says why it does not hold; nothing when it
// does.
func (x Expression) wrong(a *answer) string {
	if x.program == nil {
		return ""
	}
	shown := clip(x.text, 200)
	machine := vm.VM{MemoryBudget: maxExprItems}
	result, err := machine.Run(x.program, x.environment(a))
	if err != nil {
		return fmt.Sprintf("%s cannot be said: %s", shown, exprFault(err))
	}
	if result != true {
		return shown + " is false"
	}
	return ""
}

// environment returns what the names in x stand for.
func (x Expression) environment(a *answer) map[string]any {
	run := &exprRun{until: a.until}
	env := map[string]any{
		"status": a.status, "phases": map[string]float64(a.watch.phases), "took_ms": MillisOf(a.watch.took()),
		"http_version": a.version, "bytes": a.bodyBytes, "redirects": a.redirects, "remote_ip": "", "cert_days_left": 0.0,
		"lower": run.lower, "upper": run.upper, "split": run.split, "now": func() time.Time { return a.now },
		tickName: run.tick, joinName: run.join,
	}
	if a.remote.IsValid() {
		env["remote_ip"] = a.remote.String()
	}
	if a.certificate.leaf != nil {
		env["cert_days_left"] = a.certificate.expires.Sub(a.now).Hours() / 24
	}
	if x.reads["headers"] {
		headers := make(map[string]string, len(a.header))
		for name, values := range a.header {
			headers[strings.ToLower(name)] = values[0]
		}
		env["headers"] = headers
	}
	if x.reads["body"] {
		env["body"] = string(a.body)
	}
	if x.reads["json"] {
		env["json"] = a.json().value // nil for what is not JSON
	}
	for name, value := range a.captured {
		env[name] = value
	}
	return env
}

// reservedNames are those that no captured text can have, because they mean
// something in an expression.
func reservedNames() []string {
	names := slices.Collect(maps.Keys(expressionNames))
	names = append(names, expressionBuiltins...)
	return append(names, "let", "in", "not", "and", "or", "true", "false", "nil", "if", "else", "matches", "contains", "startsWith", "endsWith")
}

func (e *HTTPExpect) expressions(a *answer) finding {
	for _, x := range e.Expr {
		if wrong := x.wrong(a); wrong != "" {
			return against(ContentMismatch, "%s", wrong)
		}
	}
	return finding{}
}
