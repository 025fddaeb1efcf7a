#!/usr/bin/env python3
"""GIMP 3: Filters > Enhance > NUl Enhance, by the command `nuli`, as a new layer above the chosen one."""

import sys
import tempfile
from pathlib import Path

import gi

gi.require_version("Gimp", "3.0")
gi.require_version("GimpUi", "3.0")
gi.require_version("Gegl", "0.4")
from command import CommandError, enhance  # noqa: E402
from gi.repository import Gegl, Gimp, GimpUi, Gio, GLib, GObject  # noqa: E402

NAME = "plug-in-nuli-enhance"
IN_A_PNG = (Gimp.Precision.U8_NON_LINEAR, Gimp.Precision.U16_NON_LINEAR)


def run(procedure, run_mode, image, drawables, config, data):
    """What GIMP calls: ask, enhance, and report."""
    if len(drawables) != 1 or not isinstance(drawables[0], Gimp.Layer):
        return failure(procedure, "NUl Enhance works on one layer: choose a single one")
    if run_mode == Gimp.RunMode.INTERACTIVE:
        GimpUi.init(NAME)
        dialog = GimpUi.ProcedureDialog.new(procedure, config, "NUl Enhance")
        dialog.fill(None)
        agreed = dialog.run()
        dialog.destroy()
        if not agreed:
            return procedure.new_return_values(Gimp.PDBStatusType.CANCEL, GLib.Error())
    Gimp.progress_init("NUl Enhance")
    try:
        with tempfile.TemporaryDirectory(prefix="nuli-") as folder:
            add_result(image, drawables[0], options_of(config), Path(folder))
    except CommandError as error:
        return failure(procedure, str(error))
    finally:
        Gimp.progress_end()
    Gimp.displays_flush()
    return procedure.new_return_values(Gimp.PDBStatusType.SUCCESS, GLib.Error())


def failure(procedure, message):
    """What a run that did nothing gives back."""
    error = GLib.Error.new_literal(Gimp.PlugIn.error_quark(), message, 0)
    return procedure.new_return_values(Gimp.PDBStatusType.EXECUTION_ERROR, error)


def options_of(config):
    """The dialog's values as options of the command."""
    options = ["--mode", config.get_property("mode"), "--strength", f"{config.get_property('strength'):.3f}"]
    seconds = config.get_property("seconds")
    return [*options, "--seconds", f"{seconds:.1f}"] if seconds else options


def add_result(image, layer, options, folder):
    """Enhance a layer, inside the selection where there is one, and put the result above it, in one step to undo.

    The search looks at what is selected at all; how softly the selection ends is the new layer's mask.
    Raises CommandError.
    """
    source, target = folder / "layer.png", folder / "result.png"
    selected = not Gimp.Selection.is_empty(image)
    save_layer(image, layer, source)
    if selected:
        save_selection(image, layer, folder / "mask.png")
        options = [*options, "--mask", str(folder / "mask.png"), "--feather", "0"]
    record = enhance(source, target, options, Gimp.progress_pulse)
    for note in record["notes"]:
        Gimp.message(f"NUl Enhance: {note}")
    if not record["changed"]:
        Gimp.message("NUl Enhance: nothing makes this clearly better; there is no new layer")
        return
    image.undo_group_start()
    try:
        result = Gimp.file_load_layer(Gimp.RunMode.NONINTERACTIVE, image, Gio.File.new_for_path(str(target)))
        result.set_name("NUl Enhance: " + ", ".join(record["steps"]))
        image.insert_layer(result, layer.get_parent(), image.get_item_position(layer))
        result.set_offsets(*layer.get_offsets()[1:])
        if selected:
            result.add_mask(result.create_mask(Gimp.AddMaskType.SELECTION))
    finally:
        image.undo_group_end()


def save_layer(image, layer, path):
    """Write what a layer holds, whatever the image's size, as a PNG of the image's depth and profile."""
    width, height = layer.get_width(), layer.get_height()
    indexed = image.get_base_type() == Gimp.ImageBaseType.INDEXED
    base = Gimp.ImageBaseType.RGB if indexed else image.get_base_type()
    copy = Gimp.Image.new_with_precision(width, height, base, image.get_precision())
    try:
        if profile := image.get_color_profile():
            copy.set_color_profile(profile)
        inner = Gimp.Layer.new_from_drawable(layer, copy)
        copy.insert_layer(inner, None, 0)
        inner.set_offsets(0, 0)
        inner.set_opacity(100)
        inner.set_mode(Gimp.LayerMode.NORMAL)
        inner.set_visible(True)
        if inner.get_mask():
            inner.remove_mask(Gimp.MaskApplyMode.DISCARD)
        if image.get_precision() not in IN_A_PNG:
            copy.convert_precision(Gimp.Precision.U16_NON_LINEAR)
        save_png(copy, path)
    finally:
        copy.delete()


def save_selection(image, layer, path):
    """Write a mask of a layer's size: white where anything is selected, black elsewhere."""
    width, height = layer.get_width(), layer.get_height()
    _, x, y = layer.get_offsets()
    chosen = (
        image.get_selection()
        .get_buffer()
        .get(Gegl.Rectangle.new(x, y, width, height), 1.0, "Y u8", Gegl.AbyssPolicy.NONE)
    )
    mask = Gimp.Image.new(width, height, Gimp.ImageBaseType.GRAY)
    try:
        inner = Gimp.Layer.new(mask, "mask", width, height, Gimp.ImageType.GRAY_IMAGE, 100, Gimp.LayerMode.NORMAL)
        mask.insert_layer(inner, None, 0)
        buffer = inner.get_buffer()
        buffer.set(Gegl.Rectangle.new(0, 0, width, height), "Y' u8", chosen.translate(bytes([0] + [255] * 255)))
        buffer.flush()
        save_png(mask, path)
    finally:
        mask.delete()


def save_png(image, path):
    """Write a PNG; what is transparent keeps its colours."""
    procedure = Gimp.get_pdb().lookup_procedure("file-png-export")
    config = procedure.create_config()
    config.set_property("image", image)
    config.set_property("file", Gio.File.new_for_path(str(path)))
    config.set_property("compression", 1)
    config.set_property("save-transparent", True)
    config.set_property("include-thumbnail", False)
    values = procedure.run(config)
    if values.index(0) != Gimp.PDBStatusType.SUCCESS:
        raise CommandError(f"the layer can't be written to {path}: {Gimp.get_pdb().get_last_error()}")


class Nuli(Gimp.PlugIn):
    """What GIMP asks for the procedure."""

    def do_set_i18n(self, name):
        return False

    def do_query_procedures(self):
        return [NAME]

    def do_create_procedure(self, name):
        procedure = Gimp.ImageProcedure.new(self, name, Gimp.PDBProcType.PLUGIN, run, None)
        procedure.set_image_types("*")
        procedure.set_sensitivity_mask(Gimp.ProcedureSensitivityMask.DRAWABLE)
        procedure.set_menu_label("_NUl Enhance...")
        procedure.add_menu_path("<Image>/Filters/Enhance")
        procedure.set_documentation(
            "Search chains of adjustments that make the picture better",
            "The result becomes a layer above the chosen one. Needs the command nuli.",
            name,
        )
        procedure.set_attribution("NUlIE", "MIT licence", "2026")
        modes = Gimp.Choice.new()
        modes.add("soft", 0, "Soft", "photographic adjustments, the picture stays the same picture")
        modes.add("hard", 1, "Hard", "anything striking goes")
        flags = GObject.ParamFlags.READWRITE
        procedure.add_choice_argument("mode", "_Mode", "How far it may go", modes, "soft", flags)
        procedure.add_double_argument("seconds", "S_econds", "Time to search; 0: automatic", 0, 600, 0, flags)
        procedure.add_double_argument("strength", "S_trength", "How much of what is found", 0, 1.5, 1, flags)
        return procedure


Gimp.main(Nuli.__gtype__, sys.argv)
