import type { Drained } from '../../http/index.ts'
import type { CommandContext } from '../command.ts'
import { configuredConnectors, type OpenedConnector, openConfigured } from '../connectors.ts'
import { countOf } from './lines.ts'

/** The queues of calls that wait for neighbours, while they are drained. */
export interface CallQueues {
  /** Waits for the calls that are being made; the rest stays kept for the next start. */
  close(): Promise<void>
}

/**
 * Drains the queue of each connector whose fallback is `queue`, until closed.
 *
 * @param onDrained Told of each look that sent something or put something aside.
 * @throws CONNECTOR_INVALID, SECRET_NOT_FOUND, HTTP_OPTIONS_INVALID and the STORE_ codes; nothing stays open then
 */
export async function startCallQueues(
  context: CommandContext,
  onDrained: (connector: string, drained: Drained) => void,
): Promise<CallQueues> {
  const opened: OpenedConnector[] = []
  const close = async () => {
    await Promise.all(opened.map(({ queue }) => queue?.stop()))
    await Promise.all(opened.splice(0).map((connector) => connector.close()))
  }
  try {
    for (const [name, config] of await configuredConnectors(context)) {
      if (config.resilience?.fallback?.queue === undefined) continue
      const connector = await openConfigured(name, context, {
        onDrained: (drained) => onDrained(name, drained),
      })
      opened.push(connector)
      connector.queue?.start()
    }
  } catch (error) {
    await close()
    throw error
  }
  return { close }
}

/** What a look came to, for people. */
export function drainedText({ sent, putAside, waiting }: Drained): string {
  const parts = [`${countOf(sent, 'call')} that waited ${sent === 1 ? 'was' : 'were'} made`]
  if (putAside > 0) parts.push(`${putAside} put aside: treaty connector queue`)
  if (waiting > 0) parts.push(`${waiting} still ${waiting === 1 ? 'waits' : 'wait'}`)
  return parts.join(' · ')
}
