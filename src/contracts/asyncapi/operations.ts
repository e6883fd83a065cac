import type { Contract } from '../model.ts'

/** What one application does with one message. */
export interface Operation {
  readonly action: 'send' | 'receive'
  /** Absent where the contract does not say who sends. */
  readonly application?: string
  /** Name of an event or command. */
  readonly message: string
  readonly channel: string
}

/** Names of all applications of a contract: producers, consumers and handlers of commands, each once. */
export function applicationsOf({ producers, consumers, commands }: Contract): string[] {
  const handlers = Object.values(commands).map(({ handler }) => handler)
  return [...new Set([...Object.keys(producers), ...Object.keys(consumers), ...handlers])]
}

/**
 * Who sends and who receives what.
 *
 * @param application Only its own; default: those of all.
 */
export function operationsOf(contract: Contract, application?: string): readonly Operation[] {
  const { events, commands, producers, consumers } = contract
  const all = { ...events, ...commands }
  const operations: Operation[] = []
  const add = (action: Operation['action'], message: string, by?: string) => {
    const definition = all[message]
    if (definition === undefined) return
    const { channel } = definition
    operations.push({ action, message, channel, ...(by === undefined ? {} : { application: by }) })
  }
  for (const producer of Object.values(producers)) {
    const isOwn = (name: string) => commands[name]?.handler === producer.name
    for (const name of producer.events ?? Object.keys(all).filter((one) => !isOwn(one))) {
      add('send', name, producer.name)
    }
  }
  if (Object.keys(producers).length === 0) {
    for (const name of Object.keys(all)) add('send', name)
  }
  for (const consumer of Object.values(consumers)) {
    for (const name of Object.keys(consumer.events)) add('receive', name, consumer.name)
  }
  for (const command of Object.values(commands)) add('receive', command.name, command.handler)
  return operations.filter(
    (operation) => application === undefined || operation.application === application,
  )
}
