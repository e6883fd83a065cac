import { describe, expect, it } from 'vitest'
import { describeTransport } from '../../src/testing/index.ts'
import { serviceUrl } from '../conformance/service-url.ts'
import { openSqliteBroker, sqliteChild } from '../conformance/sqlite-broker.ts'
import { fullEffort, isFullSoak } from './effort.ts'
import { runSoak } from './soak/conduct.ts'
import { openPlace } from './soak/place.ts'
import { reportLine } from './soak/report.ts'

// The behaviours that grow with time and kills; their short form runs with the conformance suite.
await describeTransport('sqlite under the full soak', openSqliteBroker, {
  runner: { describe: (name, body) => describe.runIf(isFullSoak)(name, body), it },
  child: sqliteChild,
  effort: fullEffort,
  only: [2, 20, 33, 34, 42],
})

// Ten minutes on each broker are `npm run soak`. These servers start in a moment and are killed, too.
describe('some seconds of soak', () => {
  for (const target of ['sqlite', 'redis', 'nats'] as const) {
    const canRun = target === 'sqlite' || serviceUrl(target) !== undefined
    it.skipIf(!canRun)(`balance on ${target}`, async () => {
      const place = await openPlace(target)
      const seed = Date.now() % 1_000_000
      const report = await runSoak({ place, soakMs: 6000, seed, rate: 60, leaseMs: 4000 })
      console.log(reportLine(report))
      expect(report.faults, `seed ${seed}, ${report.folder}`).toEqual([])
    })
  }
})
