import { checkUpcasts, compareSchemas, consumerImpact } from '../contracts/compat/index.ts'
import type { CommandDefinition, Consumer, Contract } from '../contracts/index.ts'
import { parseVersion } from '../contracts/index.ts'
import type { Json } from '../core/json.ts'

/** Whether one side reads what the other writes, for one message type. */
export interface MessageProof {
  readonly message: string
  readonly verdict: 'compatible' | 'breaking' | 'unknown'
  /** Why not, in one clause. */
  readonly reason?: string
  /** Data that one side may send and the other cannot read. */
  readonly witness?: Json
}

const majorOf = ({ version }: Contract) => parseVersion(version)?.major

/**
 * Whether a consumer that runs with `reads` copes with producers that run with `writes`: what it needs is there, and the
 * reader's view that its runtime compiles accepts every message; across major versions the upcasts are tried.
 */
export async function proveEvents(
  consumer: Consumer,
  versions: { readonly writes: Contract; readonly reads: Contract },
  history: readonly Contract[],
): Promise<MessageProof[]> {
  const { writes, reads } = versions
  if (writes.version === reads.version) return same(Object.keys(consumer.events))
  const isOlder = (majorOf(writes) ?? 0) < (majorOf(reads) ?? 0)
  if (isOlder) return upcastProofs(consumer, writes, reads)
  const earlier = [...history.filter(({ version }) => version !== reads.version), reads]
  const impact = consumerImpact(consumer, writes, { earlier })
  return impact.events.map((found): MessageProof => {
    const { event, verdict, reason, description, witness } = found
    if (verdict !== 'compatible') {
      const change = description && `${description.path}: ${description.change}`
      return {
        message: event,
        verdict,
        reason: (verdict === 'breaking' ? change : undefined) ?? reason ?? verdict,
        ...(witness === undefined ? {} : { witness }),
      }
    }
    return readerProof(event, writes, reads)
  })
}

const same = (names: readonly string[]): MessageProof[] =>
  names.map((message) => ({ message, verdict: 'compatible' }))

/** What the runtime does: it refuses what its reader's view refuses, needed or not. */
function readerProof(event: string, writes: Contract, reads: Contract): MessageProof {
  const [written, read] = [writes.events[event], reads.events[event]]
  if (written === undefined || read === undefined) return { message: event, verdict: 'compatible' }
  const { policy } = reads.evolution
  const { forward } = compareSchemas(read.schema, written.schema, {
    // The rules of Confluent are a registry's; at run time the views count.
    policy: policy === 'strict' ? 'strict' : 'evolvable',
    mode: 'forward',
    envelope: reads.envelope,
  })
  if (forward === undefined || forward.verdict === 'compatible')
    return { message: event, verdict: 'compatible' }
  const witness = forward.verdict === 'breaking' ? forward.witness : undefined
  return {
    message: event,
    verdict: forward.verdict,
    reason: `its validation refuses it, though it does not need this: ${forward.reason}`,
    ...(witness === undefined ? {} : { witness }),
  }
}

/** Messages of an older major version are upcast before they are read: that is tried, not proved. */
async function upcastProofs(
  consumer: Consumer,
  writes: Contract,
  reads: Contract,
): Promise<MessageProof[]> {
  const findings = await checkUpcasts(reads, [writes])
  return Object.keys(consumer.events).map((message): MessageProof => {
    const found = findings.find(({ event }) => event === message)
    if (found === undefined) return { message, verdict: 'compatible' }
    return {
      message,
      verdict: 'breaking',
      reason: found.message,
      ...(found.witness === undefined ? {} : { witness: found.witness }),
    }
  })
}

/** Whether a handler that runs with `handles` copes with callers that run with `calls`: requests, replies and errors. */
export function proveCommand(name: string, calls: Contract, handles: Contract): MessageProof[] {
  const [asked, answered] = [calls.commands[name], handles.commands[name]]
  if (asked === undefined) return []
  if (answered === undefined) {
    return [{ message: name, verdict: 'breaking', reason: 'nobody handles it in that version' }]
  }
  if (calls.version === handles.version) return same([name])
  const policy = handles.evolution.policy === 'strict' ? 'strict' : 'evolvable'
  const settings = { policy, mode: 'backward', envelope: handles.envelope } as const
  const proof = (
    message: string,
    writes: CommandDefinition['schema'],
    reads: CommandDefinition['schema'],
  ): MessageProof => {
    const { backward } = compareSchemas(writes, reads, settings)
    if (backward === undefined || backward.verdict === 'compatible')
      return { message, verdict: 'compatible' }
    const witness = backward.verdict === 'breaking' ? backward.witness : undefined
    return {
      message,
      verdict: backward.verdict,
      reason: backward.reason,
      ...(witness === undefined ? {} : { witness }),
    }
  }
  const replies =
    answered.reply === undefined || asked.reply === undefined
      ? []
      : [proof(`the reply of ${name}`, answered.reply, asked.reply)]
  const errors = Object.entries(answered.errors).flatMap(([error, schema]) => {
    const known = asked.errors[error]
    return known === undefined ? [] : [proof(`the error ${error} of ${name}`, schema, known)]
  })
  return [proof(name, asked.schema, answered.schema), ...replies, ...errors]
}
