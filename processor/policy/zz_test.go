package policy_test
import ("testing";"context";"fmt"
"github.com/weirnet/weir/divertdrv"
"github.com/weirnet/weir/divertdrv/pcapdrv"
"github.com/weirnet/weir/processor"
"github.com/weirnet/weir/processor/callouts"
"github.com/weirnet/weir/processor/policy")
func TestQ(t *testing.T){
 f,err:=policy.Load("../../examples/quickstart.yaml",policy.Options{Factories:callouts.Factories()})
 if err!=nil {t.Fatal(err)}
 fmt.Println(f.Lint(), f.Driver)
 d,err:=pcapdrv.Open(pcapdrv.Options{In:f.Driver.Read,Out:"/tmp/q/out.pcapng",Local:f.Driver.Local})
 if err!=nil {t.Fatal(err)}
 var hs []*divertdrv.Handle
 for _,h:=range f.Handles { x,err:=divertdrv.OpenProgram(h.Filter,&divertdrv.Options{Driver:d,Priority:h.Priority,Flags:h.Flags}); if err!=nil{t.Fatal(err)}; hs=append(hs,x)}
 p,err:=processor.New(processor.Config{Handles:hs,Policy:f.Policy,Settle:true})
 if err!=nil {t.Fatal(err)}
 if err:=p.Run(context.Background());err!=nil{t.Fatal(err)}
 for _,h:=range hs { h.Close(); s:=h.Stats(); fmt.Printf("%+v %v\n",s,s.Conserved())}
 for _,x:=range p.Stats().Filters {fmt.Printf("%+v\n",x)}
 for _,c:=range f.Callouts { fmt.Println(c.Name()); for n,v:=range c.Callout.(interface{Counters(func(string,uint64)bool)}).Counters { fmt.Println("  ",n,v)}}
 d.Close()
}
