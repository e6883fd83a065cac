import { isReplyError } from './failures.ts'
import { LostAnswer } from './link.ts'
import { hashOf } from './publish.ts'
import { adoptScript } from './publish-script.ts'
import { adoptedFields, type ReadEntry, readEntry } from './records.ts'
import type { Argument, Reply } from './resp.ts'
import type { Session } from './session.ts'

/** The group of the stream at a channel's address by which messages of other programs come in. */
const inletGroup = 'treaty'
const most = 200

/** Puts messages that other programs wrote into their lanes, each once. */
export async function adopt(
  session: Session,
  from: {
    readonly address: string
    readonly stream: string
    readonly group: string
    readonly entries: readonly { readonly id: string; readonly read: ReadEntry }[]
  },
): Promise<void> {
  const { address, stream, group, entries } = from
  const args: Argument[] = [stream, group, entries.length]
  for (const { id, read } of entries) {
    const { record } = read
    const fields = adoptedFields(read)
    const hash =
      record.key === undefined ? Math.floor(session.random() * 2 ** 32) : hashOf(record.key)
    args.push(id, hash, record.key === undefined ? '0' : '1', record.type)
    args.push(fields.length / 2, ...fields)
  }
  await session.link.run(adoptScript, session.names.base(address), args)
}

/** The door for other programs on one channel: a stream with the channel's address as its name, where there is one. */
export interface Inlet {
  /** Looks whether the stream is there, and takes what it holds. */
  look(): Promise<void>
  close(): void
}

export function createInlet(
  session: Session,
  address: string,
  onError: (error: unknown) => void,
): Inlet {
  const { link, names, doorbell } = session
  const stream = names.inlet(address)
  let stop: (() => void) | undefined
  let looking: Promise<void> | undefined
  let isDead = false

  async function take(): Promise<void> {
    for (;;) {
      const reply = (await link.call(
        'XREADGROUP',
        'GROUP',
        inletGroup,
        session.id,
        'COUNT',
        most,
        'STREAMS',
        stream,
        '>',
      )) as readonly [readonly [Buffer, readonly Reply[]]] | null
      const found = reply?.[0]?.[1] ?? []
      if (found.length > 0) await adoptFound(found)
      if (found.length < most) return
    }
  }

  async function adoptFound(found: readonly Reply[]): Promise<void> {
    const entries = found.flatMap((each) => {
      const [id, fields] = each as readonly [Buffer, readonly Reply[] | null]
      if (fields === null) return []
      const place = { address, lane: 0, entry: String(id) }
      return [{ id: String(id), read: readEntry(place, fields) }]
    })
    await adopt(session, { address, stream, group: inletGroup, entries })
  }

  /** What a process read and did not finish before it died. */
  async function takeLeft(): Promise<void> {
    const reply = (await link.call(
      'XAUTOCLAIM',
      stream,
      inletGroup,
      session.id,
      Math.max(1000, session.leaseMs),
      '0-0',
      'COUNT',
      most,
    )) as readonly [Buffer, readonly Reply[]]
    const found = reply[1].filter((each) => each !== null)
    if (found.length > 0) await adoptFound(found)
  }

  /** Told once: a user who may touch nothing but our own keys has closed this door on purpose. */
  async function isStream(): Promise<boolean> {
    try {
      return String(await link.call('TYPE', stream)) === 'stream'
    } catch (error) {
      if (isReplyError(error) && /^NOPERM/.test((error as Error).message)) isDead = true
      throw error
    }
  }

  async function lookOnce(): Promise<void> {
    if (isDead || !link.isReady) return
    if (stop === undefined) {
      if (!(await isStream())) return
      try {
        await link.call('XGROUP', 'CREATE', stream, inletGroup, '0')
      } catch (error) {
        if (!isReplyError(error) || !/^BUSYGROUP/.test((error as Error).message)) throw error
      }
      if (isDead) return
      const [last] = (await link.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)) as readonly [
        (readonly Reply[])?,
      ]
      stop = doorbell.listen(
        stream,
        () => void inlet.look().catch(onError),
        String(last?.[0] ?? '0-0'),
      )
    }
    await takeLeft()
    await take()
  }

  const inlet: Inlet = {
    look() {
      looking ??= lookOnce()
        .catch((error: unknown) => {
          if (!(error instanceof LostAnswer) && link.isReady) throw error
        })
        .finally(() => {
          looking = undefined
        })
      return looking
    },
    close() {
      isDead = true
      stop?.()
    },
  }
  return inlet
}
