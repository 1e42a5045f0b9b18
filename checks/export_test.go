package checks

// SetNameServer has runs ask that name server instead of the machine's own.
func (e *Env) SetNameServer(addr string) { e.nameServer = addr }
