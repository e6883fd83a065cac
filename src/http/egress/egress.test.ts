import { isIPv6 } from 'node:net'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checkAddress, checkNamedAddress } from './check-address.ts'
import { checkUrl } from './check-url.ts'

describe('checkAddress', () => {
  it.each([
    ...['0.0.0.0', '10.0.0.1', '100.64.0.1', '100.127.255.255', '127.0.0.1', '127.255.255.254'],
    ...['169.254.169.254', '172.16.0.1', '172.31.255.255', '192.0.0.1', '192.0.2.1', '192.88.99.1'],
    ...['192.168.1.1', '198.18.0.1', '198.19.255.255', '198.51.100.1', '203.0.113.1', '224.0.0.1'],
    ...['239.255.255.255', '240.0.0.1', '255.255.255.255', '::', '::1', '::ffff:127.0.0.1'],
    ...['::ffff:8.8.8.8', '::ffff:7f00:1', '::127.0.0.1', '::ffff:0:127.0.0.1', '64:ff9b::7f00:1'],
    ...[
      '64:ff9b::8.8.8.8',
      '64:ff9b:1::1',
      '100::1',
      '2001::1',
      '2001:0:53aa:64c::1',
      '2001:10::1',
    ],
    ...['2001:db8::1', '2002:7f00:1::', '2002:808:808::1', '2620:4f:8000::1', '3fff::1', '5f00::1'],
    ...[
      'fc00::1',
      'fd00::1',
      'fd00:ec2::254',
      'fe80::1',
      'febf::1',
      'fec0::1',
      'ff02::1',
      '4000::1',
    ],
    ...['fe80::1%eth0', '2606:4700::1111%1', '127.1', '0x7f000001', '2130706433', '0177.0.0.1', ''],
    ...['localhost', '[::1]', '1.1.1.1 ', '1.1.1.256'],
  ])('denies %j', (ip) => {
    expect(checkAddress(ip)).toMatchObject({ allowed: false, reason: expect.any(String) })
  })

  it.each([
    ...['8.8.8.8', '1.1.1.1', '100.63.255.255', '100.128.0.1', '172.15.255.255', '172.32.0.1'],
    ...['192.0.1.1', '198.17.255.255', '198.20.0.1', '223.255.255.255', '11.0.0.1', '169.253.1.1'],
    ...['2606:4700:4700::1111', '2001:4860:4860::8888', '2a00:1450:4001:81b::200e', '2003::1'],
  ])('allows %j', (ip) => {
    expect(checkAddress(ip)).toEqual({ allowed: true })
  })

  it('denies every IPv6 address outside 2000::/3, and every form that carries an IPv4 address', () => {
    fc.assert(
      fc.property(fc.ipV6(), (ip) => {
        const isOutside = isIPv6(ip) && !/^[23][0-9a-f]{3}:/i.test(ip)
        if (isOutside) expect(checkAddress(ip).allowed).toBe(false)
      }),
    )
    fc.assert(
      fc.property(fc.ipV4(), (ip) => {
        for (const form of [`::ffff:${ip}`, `::${ip}`, `64:ff9b::${ip}`]) {
          expect(checkAddress(form).allowed).toBe(false)
        }
      }),
    )
  })
})

describe('checkNamedAddress', () => {
  it('lets a neighbour name private addresses, but not where clouds keep their secrets, in any spelling', () => {
    for (const ip of ['10.1.2.3', '127.0.0.1', 'fd00::1', '93.184.216.34']) {
      expect(checkNamedAddress(ip).allowed, ip).toBe(true)
    }
    for (const ip of [
      '169.254.169.254',
      'fd00:ec2::254',
      'FD00:0EC2:0:0:0:0:0:254',
      '100.64.0.1',
    ]) {
      expect(checkNamedAddress(ip).allowed, ip).toBe(false)
    }
  })
})

describe('checkUrl', () => {
  const resolve = (addresses: readonly string[]) => () => Promise.resolve(addresses)

  it.each([
    ['https://example.test/', ['8.8.8.8'], true],
    ['https://example.test:8443/', ['8.8.8.8', '2606:4700::1111'], true],
    ['https://example.test:444/', ['8.8.8.8'], false],
    ['http://example.test/', ['8.8.8.8'], false],
    ['ftp://example.test/', ['8.8.8.8'], false],
    ['https://user:pw@example.test/', ['8.8.8.8'], false],
    ['https://example.test/', ['8.8.8.8', '10.0.0.1'], false],
    ['https://example.test/', [], false],
    ['https://127.0.0.1/', [], false],
    ['https://2130706433/', [], false],
    ['https://0x7f.1/', [], false],
    ['https://[::1]/', [], false],
    ['https://[::ffff:169.254.169.254]/', [], false],
    ['https://8.8.8.8/', [], true],
    ['not a url', ['8.8.8.8'], false],
    ['', [], false],
  ])('judges %j with %j as %s', async (url, addresses, allowed) => {
    expect((await checkUrl(url, { resolve: resolve(addresses) })).allowed).toBe(allowed)
  })

  it('denies a name that cannot be resolved', async () => {
    const failing = () => Promise.reject(new Error('ENOTFOUND'))

    expect(await checkUrl('https://gone.test/', { resolve: failing })).toEqual({
      allowed: false,
      reason: 'its name cannot be resolved',
    })
  })

  it('takes other ports and plain http where told', async () => {
    const options = { resolve: resolve(['8.8.8.8']), https: 'optional', ports: [80, 8080] } as const

    expect((await checkUrl('http://example.test/', options)).allowed).toBe(true)
    expect((await checkUrl('http://example.test:8080/', options)).allowed).toBe(true)
    expect((await checkUrl('https://example.test/', options)).allowed).toBe(false)
  })
})
