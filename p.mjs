// node --cpu-prof: Treaty alone on one broker
const name = process.argv[2], rounds = Number(process.argv[3] ?? 6)
const { openBroker } = await import(`${process.cwd()}/bench/transports/${name}.ts`)
const { openSide } = await import(process.cwd() + '/bench/transports/ends.ts')
const load = { messages: 20000, batch: 500, window: 4000 }
const b = await openBroker(load)
const which = process.argv[4] ?? 'treaty'
const side = await openSide(name, { load, serverCpu: b.serverCpu, open: b.sides[which] })
for (let i = 0; i < rounds; i++) {
  const c = process.cpuUsage(); const t = performance.now()
  const r = await side.round()
  const u = process.cpuUsage(c)
  console.log(name, which, Math.round(20000 / ((performance.now() - t) / 1000)), '/s own cpu', ((u.user + u.system) / 20000).toFixed(1), 'all', (r.cpuMicros / 20000).toFixed(1))
}
if (process.argv[5]) { const l = (await side.paced({ perSecond: 500, seconds: 4 })).sort((a,b)=>a-b); console.log('p50', l[l.length/2|0], 'p95', l[l.length*.95|0], 'p99', l[l.length*.99|0], 'max', l.at(-1)) }
await side.close(); await b.close()
