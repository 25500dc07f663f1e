// A client as a front end has it: what the document says must be enough for every line here, and no cast is needed.
import createClient from "openapi-fetch"
import type { components, paths } from "./api"

type Problem = components["schemas"]["Problem"]

const api = createClient<paths>({ baseUrl: "http://localhost:8000" })

export async function register(): Promise<string | undefined> {
  const account = { username: "ada", email: "ada@example.com", password: "a walk along the sea" }
  const { data, error } = await api.POST("/users/register", { body: account })
  if (error) return explain(error)
  return data.timezone
}

export async function registerWithoutPassword(): Promise<void> {
  // @ts-expect-error The password is missing.
  await api.POST("/users/register", { body: { username: "ada", email: "ada@example.com" } })
}

export async function record(): Promise<string | undefined> {
  const header = { "Idempotency-Key": crypto.randomUUID() }
  const { data } = await api.POST("/expenses", { params: { header }, body: { amount: "12.50" } })
  return data?.currency
}

export async function putBackAsRead(id: number): Promise<void> {
  const path = { expense_id: id }
  const { data: expense } = await api.GET("/expenses/{expense_id}", { params: { path } })
  if (!expense) return
  await api.PUT("/expenses/{expense_id}", { params: { path }, body: expense })
  const header = { "If-Match": `"${expense.revision}"` }
  await api.PUT("/expenses/{expense_id}", { params: { path, header }, body: { ...expense, amount: 13 } })
  await api.PATCH("/expenses/{expense_id}", { params: { path }, body: expense })
}

export async function changeOneField(id: number): Promise<void> {
  const path = { expense_id: id }
  await api.PATCH("/expenses/{expense_id}", { params: { path }, body: { category: null } })
  await api.PATCH("/categories/{category_id}", { params: { path: { category_id: id } }, body: { archived: true } })
  await api.PATCH("/budgets/{budget_id}", { params: { path: { budget_id: id } }, body: { currency: "EUR" } })
  await api.PATCH("/users/me", { body: { currency: "JPY" } })
}

export async function patchRowsAsRead(): Promise<void> {
  const { data: categories } = await api.GET("/categories")
  for (const category of categories?.items ?? [])
    await api.PATCH("/categories/{category_id}", { params: { path: { category_id: category.id } }, body: category })
  const { data: budgets } = await api.GET("/budgets")
  for (const budget of budgets?.items ?? [])
    await api.PATCH("/budgets/{budget_id}", { params: { path: { budget_id: budget.id } }, body: budget })
}

export async function listTwoCategories(): Promise<string[]> {
  const query = { category: ["Groceries", "Rent"], sort: "-amount", limit: 200 } as const
  const { data } = await api.GET("/expenses", { params: { query: { ...query, category: [...query.category] } } })
  return data?.items.map((expense) => expense.amount) ?? []
}

export async function reportByMonthAndCategory(): Promise<number | undefined> {
  const { data } = await api.GET("/reports/spending", { params: { query: { group_by: ["month", "category"] } } })
  return data?.groups[0]?.count
}

export function explain(problem: Problem): string | undefined {
  // @ts-expect-error There is no such code.
  if (problem.code === "tpyo") return
  if (problem.code === "token_expired") return "Sign in again."
  return problem.errors?.find((entry) => entry.code === "already_exists")?.pointer
}
