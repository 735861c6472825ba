# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_idpbuilder_index_global_optspecs
    string join \n h/help V/version
end

function __fish_idpbuilder_index_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_idpbuilder_index_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_idpbuilder_index_using_subcommand
    set -l cmd (__fish_idpbuilder_index_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c idpbuilder-index -n "__fish_idpbuilder_index_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c idpbuilder-index -n "__fish_idpbuilder_index_needs_command" -s V -l version -d 'Print version'
complete -c idpbuilder-index -n "__fish_idpbuilder_index_needs_command" -f -a "create" -d 'Make an index of images; of an IMAGE that is an index, all its images are taken'
complete -c idpbuilder-index -n "__fish_idpbuilder_index_needs_command" -f -a "add" -d 'Add images to an index, in place of those for the same platform'
complete -c idpbuilder-index -n "__fish_idpbuilder_index_needs_command" -f -a "rm" -d 'Remove images from an index; the store keeps them until it is pruned'
complete -c idpbuilder-index -n "__fish_idpbuilder_index_needs_command" -f -a "remove" -d 'Remove images from an index; the store keeps them until it is pruned'
complete -c idpbuilder-index -n "__fish_idpbuilder_index_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c idpbuilder-index -n "__fish_idpbuilder_index_using_subcommand create" -l store -d 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]' -r -F
complete -c idpbuilder-index -n "__fish_idpbuilder_index_using_subcommand create" -s q -l quiet -d 'Print the digest only'
complete -c idpbuilder-index -n "__fish_idpbuilder_index_using_subcommand create" -s h -l help -d 'Print help'
complete -c idpbuilder-index -n "__fish_idpbuilder_index_using_subcommand add" -l store -d 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]' -r -F
complete -c idpbuilder-index -n "__fish_idpbuilder_index_using_subcommand add" -s q -l quiet -d 'Print the digest only'
complete -c idpbuilder-index -n "__fish_idpbuilder_index_using_subcommand add" -s h -l help -d 'Print help'
complete -c idpbuilder-index -n "__fish_idpbuilder_index_using_subcommand rm" -l store -d 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]' -r -F
complete -c idpbuilder-index -n "__fish_idpbuilder_index_using_subcommand rm" -s q -l quiet -d 'Print the digest only'
complete -c idpbuilder-index -n "__fish_idpbuilder_index_using_subcommand rm" -s h -l help -d 'Print help'
complete -c idpbuilder-index -n "__fish_idpbuilder_index_using_subcommand remove" -l store -d 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]' -r -F
complete -c idpbuilder-index -n "__fish_idpbuilder_index_using_subcommand remove" -s q -l quiet -d 'Print the digest only'
complete -c idpbuilder-index -n "__fish_idpbuilder_index_using_subcommand remove" -s h -l help -d 'Print help'
complete -c idpbuilder-index -n "__fish_idpbuilder_index_using_subcommand help; and not __fish_seen_subcommand_from create add rm help" -f -a "create" -d 'Make an index of images; of an IMAGE that is an index, all its images are taken'
complete -c idpbuilder-index -n "__fish_idpbuilder_index_using_subcommand help; and not __fish_seen_subcommand_from create add rm help" -f -a "add" -d 'Add images to an index, in place of those for the same platform'
complete -c idpbuilder-index -n "__fish_idpbuilder_index_using_subcommand help; and not __fish_seen_subcommand_from create add rm help" -f -a "rm" -d 'Remove images from an index; the store keeps them until it is pruned'
complete -c idpbuilder-index -n "__fish_idpbuilder_index_using_subcommand help; and not __fish_seen_subcommand_from create add rm help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
