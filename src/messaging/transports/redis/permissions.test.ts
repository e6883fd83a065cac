import { describe, expect, it } from 'vitest'
import { deniedCommands } from './permissions.ts'
import type { Reply } from './resp.ts'

/** A server that does not let its user run these. */
function server(...forbidden: readonly string[]) {
  const asked: string[] = []
  const call = async (command: string): Promise<Reply> => {
    asked.push(command)
    if (!forbidden.includes(command)) return Buffer.from('QUEUED')
    throw new Error(`NOPERM this user has no permissions to run the '${command}' command`)
  }
  return { asked, call }
}

describe('what a user may not do', () => {
  it('is named, and nothing of it is run', async () => {
    const { asked, call } = server('XADD', 'XINFO')
    expect(await deniedCommands(call, 'key')).toEqual(['XADD', 'XINFO GROUPS'])
    expect([asked.at(0), asked.at(-1)]).toEqual(['MULTI', 'DISCARD'])
  })

  it('is not asked where transactions are forbidden', async () => {
    const { asked, call } = server('MULTI', 'XADD')
    expect(await deniedCommands(call, 'key')).toEqual([])
    expect(asked).toEqual(['MULTI'])
  })
})
