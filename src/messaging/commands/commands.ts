import type { Contract, Message, MessageValidator } from '../../contracts/index.ts'
import type { Clock } from '../../core/clock.ts'
import { isTreatyError, TreatyError } from '../../core/errors.ts'
import type { Catalogue } from '../catalogue.ts'
import { createReader } from '../consume/reader.ts'
import { withUpcasts } from '../consume/upcasting.ts'
import type { WorkerOptions } from '../consume/worker.ts'
import type { OutgoingFactory, OutgoingSpec } from '../publish/outgoing.ts'
import { producerOf } from '../publish/producers.ts'
import type { Sender } from '../publish/sender.ts'
import { commandGroupName } from '../topology/topology.ts'
import type { Transport } from '../transport.ts'
import type { CommandHandler } from '../types.ts'
import type { ReplyDesk } from './request-reply.ts'
import { errorType, failureData, openReplyDesk, replyType } from './request-reply.ts'

export interface CommandsOptions {
  readonly catalogue: Catalogue
  readonly transport: Transport
  readonly producerView: MessageValidator
  readonly readerView: MessageValidator
  readonly service: string | undefined
  readonly factory: OutgoingFactory
  readonly sender: Sender
  readonly nextId: () => string
  readonly clock: Clock
  readonly onError: (error: TreatyError) => void
}

/** Nobody waits twice for a reply: a handler that fails answers with its error at once. */
const oneAttempt = { attempts: 1, baseMs: 1000, factor: 2, capMs: 1000, jitter: 'none' } as const
const acceptAll: OutgoingSpec['validator'] = { check: () => true, findings: () => [] }

type Answer = { readonly data: unknown } | { readonly error: unknown }

/** Both ends of commands: asking and waiting for the reply, and handling and answering. */
export class Commands {
  readonly #options: CommandsOptions
  #desk: Promise<ReplyDesk> | undefined

  constructor(options: CommandsOptions) {
    this.#options = options
  }

  async request(
    name: string,
    data: unknown,
    options: { timeoutMs?: number; signal?: AbortSignal },
  ): Promise<Message> {
    const { catalogue, factory, producerView, readerView, sender, service } = this.#options
    const { contract, command, address, keyPath } = catalogue.command(name)
    const desk = await this.#replyDesk()
    const timeoutMs = options.timeoutMs ?? command.timeoutMs
    const spec: OutgoingSpec = {
      type: name,
      contract,
      address,
      keyPath,
      validator: requestValidator(producerView, name),
      source: producerOf(contract, name, { service, fallback: undefined }),
    }
    const extras = { replyTo: desk.address }
    const { record } = factory.make(spec, data, { ttlMs: timeoutMs }, extras)
    const validator = readerView.forCommand(name)?.reply
    return desk.await(
      { id: record.id, command: name, contract, validator, timeoutMs, signal: options.signal },
      () => sender.send(record),
    )
  }

  /** What a worker needs to handle one command: its group, reader and a handler that answers. */
  worker(
    name: string,
    handler: CommandHandler<never, unknown>,
  ): Pick<WorkerOptions, 'group' | 'consumer' | 'retry' | 'reader' | 'guard' | 'handlerOf'> {
    const { contract, command } = this.#options.catalogue.command(name)
    const reader = createReader({
      contract,
      consumer: { name: command.handler, accepts: '*', events: { [name]: { needs: [] } } },
      validatorOf: (type) => this.#options.readerView.forCommand(type)?.request,
    })
    return {
      group: commandGroupName(contract, command),
      consumer: command.handler,
      retry: oneAttempt,
      reader,
      guard: undefined,
      handlerOf: withUpcasts(reader, () => async (message, context) => {
        const answer = await answerOf(() => handler(message as Message<never>, context))
        await this.#reply(contract, message as Message, answer)
      }),
    }
  }

  async #reply(contract: Contract, request: Message, answer: Answer): Promise<void> {
    const { factory, producerView, sender } = this.#options
    const address = request.metadata?.reply_to
    if (address === undefined) return
    const command = request.type
    const failed = 'error' in answer
    const spec: OutgoingSpec = {
      type: failed ? errorType(command) : replyType(command),
      contract,
      address,
      keyPath: undefined,
      validator: (failed ? undefined : producerView.forCommand(command)?.reply) ?? acceptAll,
      source: contract.commands[command]?.handler ?? contract.id,
    }
    const data = failed ? failureData(answer.error) : answer.data
    try {
      await sender.send(factory.make(spec, data, {}, { causationId: request.id }).record)
    } catch (error) {
      // A reply that breaks its contract is the handler's failure, and the requester learns of it.
      if (failed || !isTreatyError(error)) throw error
      await this.#reply(contract, request, { error })
    }
  }

  #replyDesk(): Promise<ReplyDesk> {
    const { clock, nextId, onError, transport } = this.#options
    this.#desk ??= openReplyDesk({
      transport,
      clock,
      address: `treaty.reply.${nextId()}`,
      onError,
    })
    return this.#desk
  }

  async close(): Promise<void> {
    if (this.#desk !== undefined) await (await this.#desk).close()
  }
}

function requestValidator(view: MessageValidator, name: string): OutgoingSpec['validator'] {
  const validator = view.forCommand(name)?.request
  if (validator) return validator
  throw new TreatyError('UNKNOWN_EVENT', `no loaded contract has the command "${name}"`)
}

async function answerOf(work: () => unknown): Promise<Answer> {
  try {
    return { data: (await work()) ?? {} }
  } catch (error) {
    return { error }
  }
}
