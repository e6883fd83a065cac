import { describe, expect, it } from 'vitest'
import { readRabbitmqUrl } from './url.ts'

const invalid = (url: string) => {
  try {
    readRabbitmqUrl(url)
  } catch (error) {
    return error
  }
  throw new Error('it was read')
}

describe('the URL of a broker', () => {
  it('says where it is and who asks', () => {
    expect(
      readRabbitmqUrl('amqp://ada:s%2Fcr%3At@mq.example:1234/shop%2Fa?queues=classic&prefix=p-'),
    ).toEqual({
      host: 'mq.example',
      port: 1234,
      vhost: 'shop/a',
      username: 'ada',
      password: 's/cr:t',
      prefix: 'p-',
      queues: 'classic',
      name: 'amqp://mq.example:1234/shop%2Fa',
    })
  })

  it('says little and means the usual', () => {
    expect(readRabbitmqUrl('amqp://[::1]')).toMatchObject({
      host: '::1',
      port: 5672,
      vhost: '/',
      username: 'guest',
      password: 'guest',
      queues: 'quorum',
    })
    expect(readRabbitmqUrl('amqps://mq.example')).toMatchObject({ port: 5671, tls: {} })
  })

  it.each([
    'amqp:/nothing',
    'http://mq.example',
    'amqp://mq.example?queue=classic',
    'amqp://mq.example?queues=streams',
    'amqp://mq.example?ca=/no/such/file',
    'amqps://mq.example?ca=/no/such/file',
    `amqp://mq.example?prefix=${'p'.repeat(61)}`,
    'amqp://mq.example?prefix=amq.x',
  ])('that cannot be meant is refused: %s', (url) => {
    expect(invalid(url)).toMatchObject({ code: 'BROKER_URL_INVALID' })
  })

  it('is never printed with its password', () => {
    const error = invalid('amqp://ada:hush@mq.example?what=ever')
    expect(JSON.stringify(error)).not.toContain('hush')
    expect(readRabbitmqUrl('amqp://ada:hush@mq.example').name).not.toContain('hush')
  })
})
