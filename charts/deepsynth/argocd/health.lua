-- Argo CD's health of a DatasetGeneration or a TrainingRun: Progressing while it waits or works, as for a Job.
-- Argo CD does not give health scripts the string library.
local status = obj.status or {}
local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end

if status.observedGeneration ~= obj.metadata.generation then
  return {status = "Progressing", message = "the operator has not seen this spec yet"}
end

local healths = {{"Failed", "Degraded"}, {"Complete", "Healthy"}, {"Suspended", "Suspended"}}
for _, pair in ipairs(healths) do
  local condition = conditions[pair[1]]
  if condition ~= nil and condition.status == "True" then
    return {status = pair[2], message = condition.message or ""}
  end
end

-- Until it completes, the message of the condition Complete says what it is doing or waiting for.
local message = status.state or "Pending"
if conditions.Complete ~= nil and (conditions.Complete.message or "") ~= "" then
  message = message .. ": " .. conditions.Complete.message
end
return {status = "Progressing", message = message}
