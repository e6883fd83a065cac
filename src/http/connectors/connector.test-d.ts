import { expectTypeOf, test } from 'vitest'
import { type Connector, openConnector } from './connector.ts'
import { readOpenApi } from './openapi.ts'

/** As `treaty gen` writes it. */
interface Connectors {
  shop: {
    getOrder: {
      params: { id: string; expand?: 'lines' }
      body: undefined
      response: { total: number }
    }
    createOrder: { params: Record<never, never>; body: { total: number }; response: unknown }
    ping: { params: { loud?: boolean }; body: undefined; response: unknown }
  }
}

const options = { baseUrl: 'https://shop.example' }

test('operations of a connector are typed by what treaty gen writes', async () => {
  const shop = openConnector<Connectors['shop']>('shop', readOpenApi({}), options)
  const { body } = await shop.call('getOrder', { params: { id: '1' } })
  expectTypeOf(body).toEqualTypeOf<{ total: number }>()
  await shop.call('ping')
  await shop.call('createOrder', { body: { total: 1 }, idempotencyKey: 'k' })
  // @ts-expect-error a parameter is missing
  await shop.call('getOrder')
  // @ts-expect-error another type
  await shop.call('getOrder', { params: { id: 1 } })
  // @ts-expect-error the body is missing
  await shop.call('createOrder', {})
  // @ts-expect-error no such operation
  await shop.call('getOrdr', { params: { id: '1' } })
})

test('without types every name is taken', () => {
  expectTypeOf(openConnector('shop', readOpenApi({}), options)).toEqualTypeOf<Connector>()
})
