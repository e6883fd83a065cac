import 'reflect-metadata'
import type { NestApplicationOptions } from '@nestjs/common'
import { Controller, Module } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import {
  type ClientOptions,
  ClientProxyFactory,
  Ctx,
  EventPattern,
  type MicroserviceOptions,
  Payload,
} from '@nestjs/microservices'
import { lastValueFrom } from 'rxjs'
import type { Order } from '../orders.ts'
import { type Envelope, envelopeOf, type OpenEnds } from './ends.ts'

interface NestOptions {
  readonly server: MicroserviceOptions
  readonly client: ClientOptions
  readonly pattern: string
  /** What is emitted for an order. Default: its envelope. */
  readonly wrap?: (order: Order) => unknown
  /** Where the application acknowledges by itself. */
  readonly acknowledge?: (context: never) => void
}

/**
 * NestJS microservices: one controller with one event handler, and a client proxy that emits. Decorators are functions, and are applied
 * as such here: Node runs this file without a compiler.
 */
export function nestEnds(options: NestOptions): OpenEnds {
  return async (told) => {
    const { acknowledge, wrap = envelopeOf } = options
    class Orders {
      placed({ data }: Envelope, context: never): void {
        told.handling(data)
        acknowledge?.(context)
        told.acknowledged(1)
      }
    }
    const descriptor = Object.getOwnPropertyDescriptor(Orders.prototype, 'placed')
    EventPattern(options.pattern)(Orders.prototype, 'placed', descriptor as PropertyDescriptor)
    Payload()(Orders.prototype, 'placed', 0)
    Ctx()(Orders.prototype, 'placed', 1)
    Controller()(Orders)
    class App {}
    Module({ controllers: [Orders] })(App)
    const quiet: NestApplicationOptions = { logger: ['error', 'warn'] }
    const app = await NestFactory.createMicroservice<MicroserviceOptions>(App, {
      ...quiet,
      ...options.server,
    })
    await app.listen()
    const client = ClientProxyFactory.create(options.client)
    await client.connect()
    return {
      publish: (orders) =>
        Promise.all(
          orders.map((order) =>
            lastValueFrom(client.emit(options.pattern, wrap(order)), { defaultValue: undefined }),
          ),
        ),
      async close() {
        await client.close()
        await app.close()
      },
    }
  }
}
