import { describe, expect, it } from 'vitest'
import { createMasker } from './masking.ts'

describe('addPlainSecrets', () => {
  it('leaves a list of references readable, and hides what stands there in plain', () => {
    const masker = createMasker()
    const line = 'secrets: [secret://env/NEW, secret://store/github]'
    masker.addPlainSecrets(`${line}\npassword: hunter22\n`)

    expect(masker.mask(line)).toBe(line)
    expect(masker.mask('it was hunter22')).toBe('it was [secret]')
  })
})
