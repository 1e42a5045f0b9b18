package config
import ("testing";"time";"strings";"fmt";"math/rand")
func TestZZ(t *testing.T){
 rnd:=rand.New(rand.NewSource(1))
 for name,gen:=range map[string]func()string{
  "unknown": func()string{var b strings.Builder; for i:=0;b.Len()<1<<20-100;i++{fmt.Fprintf(&b,"k%d: 1\n",i)};return b.String()},
  "near": func()string{var b strings.Builder; b.WriteString("regions: [{name: a}]\nchecks:\n  - name: x\n    kind: http\n");for i:=0;b.Len()<1<<20-100;i++{fmt.Fprintf(&b,"    evry%d: 1\n",i%7+10*rnd.Intn(10000))};return b.String()},
  "flowchecks": func()string{var b strings.Builder; b.WriteString("regions: [{name: a}]\nchecks:\n");for i:=0;b.Len()<1<<20-100;i++{fmt.Fprintf(&b,"- {kind: http}\n")};return b.String()},
  "dups": func()string{var b strings.Builder; b.WriteString("regions: [{name: a}]\nchecks:\n");for i:=0;b.Len()<1<<20-100;i++{fmt.Fprintf(&b,"- {name: a, kind: http, url: x, regions: [b]}\n")};return b.String()},
  "goodchecks": func()string{var b strings.Builder; b.WriteString("regions: [{name: a}]\nchecks:\n");for i:=0;b.Len()<1<<20-100;i++{fmt.Fprintf(&b,"- {name: c%d, kind: http, group: g%d, url: 'https://a.example/'}\n",i,i)};return b.String()},
  "goodslas": func()string{var b strings.Builder; b.WriteString("regions: [{name: a}]\nchecks:\n");for i:=0;b.Len()<1<<19;i++{fmt.Fprintf(&b,"- {name: c%d, kind: http, url: 'https://a.example/'}\n",i)}; b.WriteString("slas:\n"); for i:=0;b.Len()<1<<20-100;i++{fmt.Fprintf(&b,"- {name: c%d, target: 99, checks: [c%d]}\n",i,i)};return b.String()},
  "bigslas": func()string{var b strings.Builder; b.WriteString("regions: [{name: a}]\nchecks:\n");for i:=0;i<5000;i++{fmt.Fprintf(&b,"- {name: c%d, kind: http, url: 'https://a.example/', labels: {a: b}}\n",i)}; b.WriteString("slas:\n"); for i:=0;b.Len()<1<<20-100;i++{fmt.Fprintf(&b,"- {name: c%d, target: 99, checks: {label: a=b}}\n",i)};return b.String()},
  "list": func()string{return "allow: ["+strings.Repeat("a,",1<<19-10)+"]"},
  "refs": func()string{var b strings.Builder; b.WriteString("regions:\n");for i:=0;b.Len()<1<<19;i++{fmt.Fprintf(&b,"- {name: c%d}\n",i)}; b.WriteString("probers:\n"); for i:=0;b.Len()<1<<20-100;i++{fmt.Fprintf(&b,"- {name: c%d, region: d%d, token: t%d}\n",i,i,i)};return b.String()},
  "aliases": func()string{var b strings.Builder; b.WriteString("a: &a [x]\n");for i:=0;b.Len()<1<<20-100;i++{fmt.Fprintf(&b,"b%d: *a\n",i)};return b.String()},
  "selfmerge": func()string{var b strings.Builder; b.WriteString("a: &a {x: y}\nb: {");for i:=0;b.Len()<1<<20-100;i++{fmt.Fprintf(&b,"<<: *a, ")};return b.String()+"}\n"},
  "credits": func()string{var b strings.Builder; b.WriteString("slas:\n- credits:\n");for i:=0;b.Len()<1<<20-100;i++{fmt.Fprintf(&b,"  - {below: %d, percent: 1}\n",i%100)};return b.String()},
 }{
  p:=write(t,t.TempDir(),"a.yaml",gen())
  s:=time.Now(); _,err:=Load(p,environment); n:=0; if e,ok:=err.(Faults);ok{n=len(e)}
  fmt.Println(name,time.Since(s),n)
 }
}
