import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: { include: ['test/real/parity.run.ts'], reporters: ['dot'], watch: false },
})
