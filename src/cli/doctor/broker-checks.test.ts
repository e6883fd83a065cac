import { describe, expect, it } from 'vitest'
import { runCaptured } from '../captured-run.ts'
import { sampleProject } from '../sample-project.ts'
import { clockSkewCheck, settingsCheck, topologyFound } from './broker-checks.ts'
import type { Check } from './check.ts'

const facts = { version: 'Redis 8.0.0', unsafe: [] }
const url = 'redis://app:hunter2@host'

async function checksOf(argv: readonly string[]): Promise<readonly Check[]> {
  const { out } = await runCaptured(['doctor', '--json', ...argv], { cwd: sampleProject() })
  return (JSON.parse(out) as { data: { checks: readonly Check[] } }).data.checks
}

describe('the checks of a broker', () => {
  it('warn of a clock that is off, and skip where the broker tells no time', async () => {
    expect((await clockSkewCheck({ ...facts, clockAheadMs: 12 }, url)).status).toBe('ok')
    expect((await clockSkewCheck(facts, url)).status).toBe('skip')
    const off = await clockSkewCheck({ ...facts, clockAheadMs: -61_000 }, url)
    expect(off).toMatchObject({ status: 'warn', fix: expect.stringContaining('CLOCK_SKEW') })
    expect(off.found).toContain('61.0 s behind')
    expect(JSON.stringify(off)).not.toContain('hunter2')
  })

  it('warn of settings that lose what was acknowledged', () => {
    expect(settingsCheck(facts).status).toBe('ok')
    const loose = settingsCheck({ ...facts, unsafe: ['appendfsync is everysec'] })
    expect(loose).toMatchObject({ status: 'warn', found: 'appendfsync is everysec' })
  })

  it('fail on drift that breaks a promise, and take what is missing for a first start', () => {
    const drift = { code: 'TOPOLOGY_DRIFT', message: 'retention is 1 h, 14 d are needed' } as const
    expect(topologyFound({ missing: [], drift: [] }).status).toBe('ok')
    expect(topologyFound({ missing: ['a', 'b'], drift: [] })).toMatchObject({
      status: 'ok',
      found: '2 parts missing, made at the first start',
    })
    expect(topologyFound({ missing: [], drift: [{ ...drift, severity: 'warning' }] }).status).toBe(
      'warn',
    )
    const broken = topologyFound({ missing: [], drift: [{ ...drift, severity: 'error' }] })
    expect(broken).toMatchObject({ status: 'fail', found: expect.stringContaining('14 d') })
  })

  it('look at topology and outbox of an embedded broker, too', async () => {
    const checks = await checksOf(['--transport', 'memory:'])
    expect(checks.map(({ id }) => id)).toContain('topology')
    expect(checks.find(({ id }) => id === 'transport')?.status).toBe('ok')
    expect(checks.some(({ id }) => id === 'broker-clock')).toBe(false)
  })

  it('say that nobody is there, in one line with what to do', async () => {
    const checks = await checksOf(['--transport', 'redis://app:hunter2@127.0.0.1:1'])
    const transport = checks.find(({ id }) => id === 'transport')
    expect(transport).toMatchObject({
      status: 'fail',
      fix: expect.stringContaining('BROKER_UNREACHABLE'),
    })
    expect(transport?.found).not.toContain('\n')
    expect(JSON.stringify(checks)).not.toContain('hunter2')
  })
})
