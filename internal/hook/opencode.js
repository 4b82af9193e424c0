// Written by: sallyport hook install opencode. Changes are lost when it is installed again.
//
// OpenCode has no hooks that are commands. This plugin asks the same program that the other agents ask: a tool
// runs only if it exits with status 0, and whatever else happens keeps the tool from running.
import { spawn } from "node:child_process"

const program = "BINARY"
const limit = 30_000

const ask = (kind, event) =>
  new Promise((resolve, reject) => {
    const child = spawn(program, ["hook", kind, "--agent", "opencode"], { stdio: ["pipe", "ignore", "pipe"] })
    let why = ""
    const timer = setTimeout(() => {
      child.kill("SIGKILL")
      reject(new Error("Sallyport did not answer, and what it does not answer does not run."))
    }, limit)
    child.on("error", (e) => {
      clearTimeout(timer)
      reject(new Error(`Sallyport could not be started (${e.message}), and without it no tool runs.`))
    })
    child.stderr.on("data", (b) => {
      if (why.length < 8000) why += b
    })
    child.stdin.on("error", () => {})
    child.on("close", (status) => {
      clearTimeout(timer)
      if (status === 0) resolve()
      else reject(new Error(why.trim() || `Sallyport ended with status ${status}.`))
    })
    child.stdin.end(JSON.stringify({ event: kind, ...event }))
  })

const tell = (kind, event) => ask(kind, event).catch(() => {})

export const Sallyport = async ({ directory }) => ({
  "tool.execute.before": async (input, output) => {
    await ask("pre-tool", { tool: input.tool, sessionID: input.sessionID, callID: input.callID, args: output.args ?? {}, directory })
  },
  "tool.execute.after": async (input) => {
    await tell("post-tool", { tool: input.tool, sessionID: input.sessionID, callID: input.callID, args: input.args ?? {}, directory })
  },
  "chat.message": async (input) => {
    await tell("prompt", { sessionID: input.sessionID, directory })
  },
  event: async ({ event }) => {
    if (event.type === "session.created") await tell("session-start", { sessionID: event.properties.info.id, directory })
    if (event.type === "session.idle") await tell("session-end", { sessionID: event.properties.sessionID, directory })
  },
})
