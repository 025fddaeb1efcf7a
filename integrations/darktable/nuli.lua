-- darktable: an export target that enhances what darktable exports, by the command `nuli`. Linux and macOS.
-- The photo itself and the exported file stay as they are; a result never takes the place of another file.

local dt = require "darktable"

local NAME = "nuli"
local FORMATS = { jpg = true, png = true, tif = true, webp = true, avif = true }

-- text that the shell takes as one word, whatever it holds
local function quoted(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function tell(text)
  dt.print("NUl Enhance: " .. text)
  dt.print_log("NUl Enhance: " .. text)
end

local function exists(path)
  local file = io.open(path)
  return file ~= nil and file:close()
end

-- a setting that darktable keeps between two starts
local function kept(key, kind, default)
  local value = dt.preferences.read(NAME, key, kind)
  return (value == "" or value == 0) and default or value
end

dt.preferences.register(NAME, "command", "string", "NUl Enhance: the command", "its full path, where nuli alone is not found", "nuli")

local folder = dt.new_widget("file_chooser_button"){
  title = "where results go",
  is_directory = true,
  value = kept("folder", "directory", os.getenv("HOME")),
  tooltip = "where results go, unless beside the photos",
  changed_callback = function(self) dt.preferences.write(NAME, "folder", "directory", self.value) end,
}
local function check(key, label, tooltip)
  return dt.new_widget("check_button"){
    label = label,
    tooltip = tooltip,
    value = dt.preferences.read(NAME, key, "bool"),
    clicked_callback = function(self) dt.preferences.write(NAME, key, "bool", self.value) end,
  }
end
local beside = check("beside", "beside the photos", "each result in the folder of its photo")
local import = check("import", "import the results", "into darktable's library")
local hard = check("hard", "hard mode", "anything striking goes; else the picture stays the same picture")
local strength = dt.new_widget("slider"){
  label = "strength",
  tooltip = "how much of what is found",
  hard_min = 0, hard_max = 1.5, soft_min = 0, soft_max = 1.5, step = 0.1, digits = 2,
}
strength.value = 1 -- after its range: set together, it may come out as 0
local seconds = dt.new_widget("slider"){
  label = "seconds",
  tooltip = "time to search for each picture; 0: automatic",
  hard_min = 0, hard_max = 600, soft_min = 0, soft_max = 60, step = 1, digits = 0,
}

local function command()
  return quoted(kept("command", "string", "nuli"))
end

-- NAME-nuli.EXT in a folder, or NAME-nuli_2.EXT... where that is taken
local function free_name(target, stem, extension, taken)
  local name, number = stem .. "-nuli." .. extension, 1
  while exists(target .. "/" .. name) or taken[target .. "/" .. name] do
    number = number + 1
    name = stem .. "-nuli_" .. number .. "." .. extension
  end
  taken[target .. "/" .. name] = true
  return name
end

local function tell_missing()
  tell("there is no command " .. command() .. ": install NUlIE, or name it in the preferences, under Lua options")
end

-- before the first picture; returning fewer of them, where there is nothing to do, makes darktable 5.0 crash
local function initialize(storage, format, images, high_quality, work)
  work.pictures, work.folders, work.taken = {}, {}, {}
  work.missing = not os.execute("command -v " .. command() .. " >/dev/null")
  if work.missing then tell_missing() end
end

-- after each export: the file goes into a folder of this run, one for each place of results, under the result's name
local function store(storage, image, format, exported, number, total, high_quality, work)
  if work.missing then
    os.remove(exported)
    return
  end
  local target = beside.value and image.path or folder.value
  local temporary, stem, extension = exported:match("^(.*)/([^/]*)%.([^./]*)$")
  if not work.folders[target] then
    local pipe = io.popen("mktemp -d " .. quoted(temporary .. "/nuli.XXXXXX"))
    work.folders[target] = pipe:read("l")
    pipe:close()
  end
  local name = free_name(target, stem, extension, work.taken)
  assert(os.rename(exported, work.folders[target] .. "/" .. name))
  table.insert(work.pictures, { image = image, path = target .. "/" .. name })
end

-- after the last: all of them are enhanced by one command for each place of results
local function finalize(storage, images, work)
  if work.missing then return tell_missing() end
  tell(#work.pictures .. " pictures to enhance")
  local options = string.format("--mode %s --strength %.2f", hard.value and "hard" or "soft", strength.value)
  options = options:gsub(",", ".") -- the user's language may write numbers so
  if seconds.value > 0 then options = options .. string.format(" --seconds %d", seconds.value) end
  for target, exported in pairs(work.folders) do
    local log = exported .. "/log"
    dt.control.execute(string.format("%s enhance --no-journal %s -o %s -- %s/*.* >%s 2>&1",
      command(), options, quoted(target), quoted(exported), quoted(log)))
    for line in io.lines(log) do dt.print_log(line) end
    os.execute("rm -r " .. quoted(exported))
  end
  local failed = {}
  for _, picture in ipairs(work.pictures) do
    if not exists(picture.path) then
      table.insert(failed, picture.image.filename)
    elseif import.value then
      dt.database.import(picture.path)
    end
  end
  if #failed > 0 then
    tell("failed, see the log of `darktable -d lua`: " .. table.concat(failed, ", "))
  else
    tell(#work.pictures .. " pictures done")
  end
end

dt.register_storage(NAME, "NUl Enhance", store, finalize,
  function(storage, format) return FORMATS[format.extension] or false end,
  initialize,
  dt.new_widget("box"){ orientation = "vertical", folder, beside, import, hard, strength, seconds })
