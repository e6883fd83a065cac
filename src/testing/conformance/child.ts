import type { Delivery, Settlement, Transport } from '../../messaging/transport.ts'
import type {
  ChildCommand,
  ChildEvent,
  ChildHandler,
  ChildReply,
  ChildSetup,
  FromChild,
  ToChild,
} from './child-protocol.ts'

// The program of a child process: it connects to the broker and does what its parent commands, so
// that the parent can kill or stop it at the worst moment. Only the parent decides what it means.

interface Session {
  transport: Transport | undefined
  readonly held: Map<string, Delivery>
  streaming: boolean
}

function send(message: FromChild): void {
  // The parent may be gone first; then nobody is left to tell.
  if (process.connected) process.send?.(message)
}
const tell = (event: ChildEvent): void => send({ event })

function transportOf(session: Session): Transport {
  if (!session.transport) throw new Error('the child is not connected yet')
  return session.transport
}

async function connect(session: Session, setup: ChildSetup): Promise<ChildReply> {
  const module = (await import(setup.module)) as Record<string, unknown>
  const open = module[setup.exportName]
  if (typeof open !== 'function') {
    throw new Error(`module "${setup.module}" has no function "${setup.exportName}"`)
  }
  const transport = (await open(setup.url, { leaseMs: setup.leaseMs })) as Transport
  await transport.connect()
  await transport.ensure(setup.topology, 'create')
  session.transport = transport
  return { kind: 'done' }
}

async function settle(session: Session, settlement: Settlement): Promise<ChildReply> {
  const [result] = await transportOf(session).settle([settlement])
  if (!result) throw new Error('settle gave no result')
  tell({
    kind: 'settled',
    messageId: settlement.delivery.record.id,
    outcome: settlement.outcome,
    ok: result.ok,
    ...(result.ok ? {} : { reason: result.reason }),
  })
  return { kind: 'settled', result: withoutCause(result) }
}

/** An error with methods does not survive the channel between processes. */
function withoutCause(result: Extract<ChildReply, { kind: 'settled' }>['result']) {
  return result.ok || result.reason === 'lost'
    ? result
    : { ok: false as const, reason: 'error' as const, error: String(result.error) }
}

async function handle(session: Session, handler: ChildHandler, delivery: Delivery): Promise<void> {
  const { record } = delivery
  tell({
    kind: 'delivered',
    messageId: record.id,
    attempt: delivery.attempt,
    deliveryCount: delivery.deliveryCount,
    position: record.position,
    ...(record.key === undefined ? {} : { key: record.key }),
  })
  if (handler.kind === 'crash' && (handler.onId ?? record.id) === record.id) {
    // After the parent was told: what a killed process has queued for its parent is gone.
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), 20)
    return
  }
  if (handler.kind === 'hold') {
    session.held.set(record.id, delivery)
    return
  }
  if (handler.kind === 'retry') {
    await settle(session, { outcome: 'retry', delivery, delayMs: handler.delayMs })
    return
  }
  if (handler.kind === 'ack' && handler.workMs) {
    await new Promise((resolve) => setTimeout(resolve, handler.workMs))
  }
  await settle(session, { outcome: 'ack', delivery })
}

async function consume(
  session: Session,
  command: Extract<ChildCommand, { kind: 'consume' }>,
): Promise<ChildReply> {
  const subscription = await transportOf(session).subscribe(
    { group: command.group, replica: `child ${process.pid}` },
    (deliveries) => {
      for (const delivery of deliveries) {
        handle(session, command.handler, delivery)
          .then(() => subscription.grant(command.handler.kind === 'hold' ? 0 : 1))
          .catch(fail)
      }
    },
  )
  subscription.grant(command.credit)
  return { kind: 'done' }
}

async function stream(
  session: Session,
  command: Extract<ChildCommand, { kind: 'stream' }>,
): Promise<void> {
  const transport = transportOf(session)
  session.streaming = true
  for (let number = 0; session.streaming; number += 1) {
    const id = `${command.prefix}-${String(number).padStart(8, '0')}`
    const key = `key-${number % command.keys}`
    const body = new TextEncoder().encode(JSON.stringify({ number }))
    const record = { id, key, body, headers: {}, contentType: 'application/json' }
    const [result] = await transport.publish([
      { ...record, address: command.address, type: command.type },
    ])
    if (result && 'id' in result) tell({ kind: 'published', messageId: id, key })
  }
}

async function obey(session: Session, command: ChildCommand): Promise<ChildReply> {
  const done: ChildReply = { kind: 'done' }
  switch (command.kind) {
    case 'connect':
      return connect(session, command.setup)
    case 'publish': {
      const results = await transportOf(session).publish(command.records)
      return { kind: 'published', results }
    }
    case 'stream':
      stream(session, command).catch(fail)
      return done
    case 'endStream':
      session.streaming = false
      return done
    case 'consume':
      return consume(session, command)
    case 'settle': {
      const delivery = session.held.get(command.messageId)
      if (!delivery) throw new Error(`no delivery of "${command.messageId}" is held`)
      return settle(session, { outcome: command.outcome, delivery })
    }
    case 'replay':
      for (const id of command.ids) {
        const found = await transportOf(session).dead.replay(id)
        tell({ kind: 'replayed', id, found })
      }
      return done
    case 'close':
      session.streaming = false
      await transportOf(session).close({ drainMs: command.drainMs })
      return done
  }
}

function fail(error: unknown): void {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
  send({ call: 0, error: text })
}

function serve(): void {
  const session: Session = { transport: undefined, held: new Map(), streaming: false }
  process.on('message', (message: ToChild) => {
    obey(session, message.command).then(
      (reply) => send({ call: message.call, reply }),
      (error: unknown) => {
        const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
        send({ call: message.call, error: text })
      },
    )
  })
  // A parent that was killed must not leave its children behind.
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))
}

serve()
