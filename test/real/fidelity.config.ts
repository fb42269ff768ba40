import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: { include: ['test/real/fidelity.run.ts'], reporters: ['dot'], watch: false },
})
