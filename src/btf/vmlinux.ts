import type { StructRef } from './ref.ts'
export interface KernelStructs {
  readonly list_head: StructRef
}
