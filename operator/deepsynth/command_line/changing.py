"""Options of the verbs that run, change or remove resources."""

import argparse

from deepsynth.command_line.shared import add_files, add_names, add_prices, add_yes, parse_seconds


def add_local(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Run DatasetGenerations and TrainingRuns on this machine with the operator's own code. Pods are processes, "
        "pvc://CLAIM/ is a folder inside the runs folder, and Secrets come from your environment (HF_TOKEN). Ctrl-C "
        "saves the progress and stops; run the same command again to continue."
    )
    add_files(parser, "resources")
    add_prices(parser)


def add_apply(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Create the resources of files, or change their specs, and return at once. With --local, a process in the "
        "background runs them on this machine until all of them are at rest."
    )
    add_files(parser, "resources, or folders with such files")
    parser.add_argument(
        "--force-conflicts", action="store_true", help="take over fields that others manage, as `kubectl apply` does"
    )


def add_suspend(parser: argparse.ArgumentParser) -> None:
    add_names(parser, "KIND NAME, KIND/NAME or NAME")


def add_resume(parser: argparse.ArgumentParser) -> None:
    add_names(parser, "KIND NAME, KIND/NAME or NAME")


def add_delete(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Delete resources and their pods. Checkpoints, models and datasets stay, unless --data is given. The list that "
        "is shown before names the complete runs that were trained on a dataset and cannot continue without it."
    )
    add_names(parser, "KIND NAME, KIND/NAME or NAME")
    parser.add_argument(
        "--data",
        action="store_true",
        help="also delete what they wrote to volumes and object stores, after a question that shows its size",
    )
    add_yes(parser)


def add_prune(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Remove what TrainingRuns that have ended left on volumes and in object stores: unfinished saves and damaged "
        "checkpoints; of complete runs also all checkpoints but the newest and the best, and what spec.cache keeps. "
        "With --older-than, everything of resources that ended longer ago: the resources, their datasets, checkpoints "
        "and models, and here their logs. Asks first."
    )
    parser.add_argument(
        "--older-than", type=parse_seconds, metavar="TIME", help="such as 30d: remove resources that ended before"
    )
    parser.add_argument("words", nargs="*", metavar="NAME", help="KIND NAME, KIND/NAME or NAME (default: all)")
    add_yes(parser)
