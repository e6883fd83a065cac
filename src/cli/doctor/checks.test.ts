import { describe, expect, it } from 'vitest'
import { clockCheck, freeSpaceCheck, nodeCheck } from './checks.ts'

const gibibyte = 1_073_741_824

describe('the checks of doctor', () => {
  it('want Node 24 or newer', () => {
    expect(nodeCheck('24.0.0').status).toBe('ok')
    expect(nodeCheck('30.1.0').status).toBe('ok')
    expect(nodeCheck('22.20.0')).toMatchObject({
      status: 'fail',
      found: '22.20.0',
      expected: '24 or newer',
    })
  })

  it('notice a clock that was never set', () => {
    expect(clockCheck(Date.UTC(2026, 10, 21)).status).toBe('ok')
    expect(clockCheck(0).status).toBe('fail')
    expect(clockCheck(Number.NaN)).toMatchObject({ status: 'fail', found: 'no time' })
  })

  it('warn below one gibibyte of free space, and fail where writes are about to', () => {
    expect(freeSpaceCheck(2 * gibibyte).status).toBe('ok')
    expect(freeSpaceCheck(gibibyte / 2).status).toBe('warn')
    expect(freeSpaceCheck(1_000_000)).toMatchObject({ status: 'fail', found: '0.0 GiB free' })
  })

  it('say what to do whenever something is wrong', () => {
    for (const check of [nodeCheck('20.1.0'), clockCheck(0), freeSpaceCheck(0)]) {
      expect(check.fix).toMatch(/^[A-Z].*\.$/)
    }
  })
})
