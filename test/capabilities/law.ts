import { expect } from 'vitest'

/**
 * Shows that a law holds for what we made, and that it has teeth: the seed's sample behaviour, as a small model of it, breaks it.
 */
export async function holds<Subject>(
  law: (subject: Subject) => Promise<void> | void,
  subjects: { readonly ours: Subject; readonly seed: Subject },
): Promise<void> {
  await law(subjects.ours)
  const broken = await Promise.resolve()
    .then(() => law(subjects.seed))
    .then(
      () => undefined,
      (error: unknown) => error,
    )
  // Only a failed expectation counts: a model that merely crashes would prove nothing.
  expect(broken, 'the model of the seed must break the law').toMatchObject({
    name: 'AssertionError',
  })
}
